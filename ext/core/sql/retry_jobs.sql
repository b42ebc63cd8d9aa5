-- What:   puts jobs back for another attempt, with the payload that Active Job serialized for it, and inserts one execution row for
--         the attempt that ended.
-- Who:    postgres/store.rs, in the completer's flush.
-- Params: $1 to $11 as in finish_jobs.sql; then per run, all NULL where the job goes back as it was:
--         $12 text[] serialized_params (JSON)   $13 timestamptz[] scheduled_at, NULL for now   $14 text[] queue_name
--         $15 int4[] priority   $16 text[] labels, each an array literal
--         $17 bool[] whether $12 to $16 are to be written
-- Answer: the jobs written, as in finish_jobs.sql.
-- Index:  primary key
-- Form:   the execution row wants the payload of the attempt that ended; RETURNING only knows the new one, and a CTE reads the
--         row as it was before this statement.
--         Every process that listens is told, once a queue and priority, with the earliest time; what is due now does not hide when the rest will be.
--         Here and elsewhere a queue whose name might not fit into an announcement (8,000 bytes) goes unnamed: it may be any.
WITH run AS (
  SELECT *
  FROM unnest($2::uuid[], $3::timestamp[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::int8[], $8::int4[],
              $9::text[], $10::int2[], $11::text[],
              $12::text[], $13::timestamptz[], $14::text[], $15::int4[], $16::text[], $17::bool[])
    AS run (id, token, execution_id, started_at, ended_at, duration_us, executions_count, error, error_event, backtrace,
            next_params, next_scheduled_at, next_queue_name, next_priority, next_labels, rewritten)
),
attempt AS MATERIALIZED (
  SELECT run.*, job.active_job_id, job.job_class, job.queue_name, job.serialized_params, job.scheduled_at, job.created_at
  FROM run
  JOIN {jobs} AS job ON job.id = run.id
),
retried AS (
  UPDATE {jobs} AS job
  SET serialized_params = CASE WHEN attempt.rewritten THEN attempt.next_params::jsonb ELSE job.serialized_params END,
      scheduled_at      = CASE WHEN attempt.rewritten THEN COALESCE(attempt.next_scheduled_at::timestamp, LOCALTIMESTAMP) ELSE job.scheduled_at END,
      queue_name        = CASE WHEN attempt.rewritten THEN attempt.next_queue_name ELSE job.queue_name END,
      priority          = CASE WHEN attempt.rewritten THEN attempt.next_priority ELSE job.priority END,
      labels            = CASE WHEN attempt.rewritten THEN attempt.next_labels::text[] ELSE job.labels END,
      performed_at      = NULL,
      finished_at       = NULL,
      executions_count  = attempt.executions_count,
      error             = attempt.error,
      error_event       = attempt.error_event,
      locked_by_id      = NULL,
      locked_at         = NULL,
      lock_type         = NULL,
      updated_at        = LOCALTIMESTAMP
  FROM attempt
  WHERE job.id = attempt.id AND job.locked_by_id IS NOT DISTINCT FROM $1::uuid AND job.locked_at = attempt.token
  RETURNING job.id, job.queue_name, job.priority, job.scheduled_at
),
recorded AS (
  INSERT INTO {executions} (id, active_job_id, job_class, queue_name, serialized_params, scheduled_at, created_at, updated_at,
                            finished_at, error, error_event, error_backtrace, process_id, duration)
  SELECT execution_id, COALESCE(active_job_id, id), job_class, queue_name, serialized_params, COALESCE(scheduled_at, created_at),
         started_at, ended_at, ended_at, error, error_event, backtrace::text[], $1::uuid, duration_us * interval '1 microsecond'
  FROM attempt
  WHERE id IN (SELECT id FROM retried)
),
notified AS MATERIALIZED (
  SELECT pg_notify('good_job', json_build_object(
           'queue_name', CASE WHEN octet_length(queue_name) <= 1000 THEN queue_name END,
           'count', count(*),
           'scheduled_at', to_char(min(scheduled_at)::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'priority', priority)::text)
  FROM retried
  GROUP BY queue_name, priority, scheduled_at > LOCALTIMESTAMP
)
SELECT id, (SELECT count(*) FROM notified) AS notifications FROM retried
