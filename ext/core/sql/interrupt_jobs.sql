-- What:   gives back jobs whose runs were cut short (their thread was killed, or an exception took it down that no job may
--         handle): performed_at stays, which is how the next attempt knows; one execution row tells of the attempt.
-- Who:    postgres/store.rs, in the completer's flush. For processes that died, rescue_jobs.sql does the same.
-- Params: $1 to $8 as in finish_jobs.sql; $9 int4 the interruption in a row with which a job is discarded, or NULL: never
-- Answer: the jobs written, and whether each was given back or discarded, with the batches that this may concern.
-- Index:  primary key; index_good_job_executions_on_active_job_id_and_created_at
-- Form:   every process that listens is told, once a queue and priority: the job is due again. A job whose attempt before was cut short too waits
--         for as many seconds as it has had attempts, a minute at most: one that calls exit must not run a thousand times a second.
WITH run AS (
  SELECT *
  FROM unnest($2::uuid[], $3::timestamp[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::int8[], $8::int4[])
    AS run (id, token, execution_id, started_at, ended_at, duration_us, executions_count)
),
attempt AS MATERIALIZED (
  SELECT run.*,
         CASE WHEN $9::int4 IS NOT NULL THEN 1 + {interruptions before} END AS interruptions
  FROM run
  JOIN {jobs} AS job ON job.id = run.id
),
interrupted AS (
  UPDATE {jobs} AS job
  SET performed_at     = attempt.started_at,
      executions_count = attempt.executions_count,
      finished_at      = CASE WHEN attempt.interruptions >= $9::int4 THEN attempt.ended_at::timestamp END,
      scheduled_at     = CASE WHEN job.error_event = 0
                              THEN LOCALTIMESTAMP + LEAST(attempt.executions_count, 60) * interval '1 second' ELSE job.scheduled_at END,
      error            = CASE WHEN attempt.interruptions >= $9::int4
                              THEN 'GoodJob::InterruptionLimitError: Interrupted after starting perform at ''' || attempt.started_at::timestamp || ''' (' ||
                                   attempt.interruptions || ' in a row, and max_interruptions is ' || $9::int4 || ')'
                              ELSE 'GoodJob::InterruptedError: Interrupted after starting perform at ''' || attempt.started_at::timestamp || '''' END,
      error_event      = CASE WHEN attempt.interruptions >= $9::int4 THEN 5 ELSE 0 END,
      locked_by_id     = NULL,
      locked_at        = NULL,
      lock_type        = NULL,
      updated_at       = LOCALTIMESTAMP
  FROM attempt
  WHERE job.id = attempt.id AND job.locked_by_id IS NOT DISTINCT FROM $1::uuid AND job.locked_at = attempt.token
  RETURNING job.id, job.active_job_id, job.job_class, job.queue_name, job.priority, job.serialized_params, job.scheduled_at, job.created_at, job.error,
            job.error_event, job.finished_at IS NOT NULL AS discarded,
            job.batch_id, job.batch_callback_id, attempt.execution_id, attempt.started_at, attempt.ended_at, attempt.duration_us
),
recorded AS (
  INSERT INTO {executions} (id, active_job_id, job_class, queue_name, serialized_params, scheduled_at, created_at, updated_at,
                            finished_at, error, error_event, process_id, duration)
  SELECT execution_id, COALESCE(active_job_id, id), job_class, queue_name, serialized_params, COALESCE(scheduled_at, created_at),
         started_at, ended_at, ended_at, error, error_event, $1::uuid, duration_us * interval '1 microsecond'
  FROM interrupted
),
notified AS MATERIALIZED (
  SELECT pg_notify('good_job', json_build_object(
           'queue_name', CASE WHEN octet_length(queue_name) <= 1000 THEN queue_name END,
           'count', count(*),
           'scheduled_at', to_char(min(scheduled_at)::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'priority', priority)::text)
  FROM interrupted
  WHERE NOT discarded
  GROUP BY queue_name, priority
)
SELECT id, batch_id, batch_callback_id, discarded AS failed, (SELECT count(*) FROM notified) AS notifications FROM interrupted
