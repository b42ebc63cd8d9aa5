-- What:   gives back jobs whose runs were cut short (their thread was killed, or an exception took it down that no job may
--         handle): performed_at stays, which is how the next attempt knows; one execution row tells of the attempt.
-- Who:    postgres/store.rs, in the completer's flush. For processes that died, rescue_jobs.sql does the same.
-- Params: $1 to $8 as in finish_jobs.sql
-- Answer: the jobs given back.
-- Index:  primary key
-- Form:   every process that listens is told, once a queue and priority: the job is due again. A job whose attempt before was cut short too waits
--         for as many seconds as it has had attempts, a minute at most: one that calls exit must not run a thousand times a second.
WITH run AS (
  SELECT *
  FROM unnest($2::uuid[], $3::timestamp[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::int8[], $8::int4[])
    AS run (id, token, execution_id, started_at, ended_at, duration_us, executions_count)
),
interrupted AS (
  UPDATE {jobs} AS job
  SET performed_at     = run.started_at,
      executions_count = run.executions_count,
      scheduled_at     = CASE WHEN job.error_event = 0
                              THEN LOCALTIMESTAMP + LEAST(run.executions_count, 60) * interval '1 second' ELSE job.scheduled_at END,
      error            = 'GoodJob::InterruptedError: Interrupted after starting perform at ''' || run.started_at::timestamp || '''',
      error_event      = 0,
      locked_by_id     = NULL,
      locked_at        = NULL,
      lock_type        = NULL,
      updated_at       = LOCALTIMESTAMP
  FROM run
  WHERE job.id = run.id AND job.locked_by_id IS NOT DISTINCT FROM $1::uuid AND job.locked_at = run.token
  RETURNING job.id, job.active_job_id, job.job_class, job.queue_name, job.priority, job.serialized_params, job.scheduled_at, job.created_at, job.error,
            run.execution_id, run.started_at, run.ended_at, run.duration_us
),
recorded AS (
  INSERT INTO {executions} (id, active_job_id, job_class, queue_name, serialized_params, scheduled_at, created_at, updated_at,
                            finished_at, error, error_event, process_id, duration)
  SELECT execution_id, COALESCE(active_job_id, id), job_class, queue_name, serialized_params, COALESCE(scheduled_at, created_at),
         started_at, ended_at, ended_at, error, 0, $1::uuid, duration_us * interval '1 microsecond'
  FROM interrupted
),
notified AS MATERIALIZED (
  SELECT pg_notify('good_job', json_build_object(
           'queue_name', CASE WHEN octet_length(queue_name) <= 1000 THEN queue_name END,
           'count', count(*),
           'scheduled_at', to_char(min(scheduled_at)::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'priority', priority)::text)
  FROM interrupted
  GROUP BY queue_name, priority
)
SELECT id, (SELECT count(*) FROM notified) AS notifications FROM interrupted
