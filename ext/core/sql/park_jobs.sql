-- What:   gives claims back that were not started because their concurrency key is full, and keeps them apart: a job that is parked is
--         due later, has no owner, and has in locked_at the time for which it was scheduled.
-- Who:    postgres/store.rs, in the completer's flush.
-- Params: $1 to $6 as in release_jobs.sql; $7 timestamptz[] when the job becomes due by itself; NULL: in 10 minutes, as a last resort
-- Answer: the jobs parked.
-- Index:  primary key
-- Form:   of jobs that are parked for the same key, those that have waited longer are due sooner, up to five minutes. Nobody is told of
--         them: whoever has a slot of the key fetches them. Of a job with a time of its own the timers have to know.
WITH claim AS (
  SELECT *
  FROM unnest($2::uuid[], $3::timestamp[], $4::timestamptz[], $5::int4[], $6::bool[], $7::timestamptz[])
    AS claim (id, token, performed_at, executions_count, rescued, until)
),
parked AS (
  UPDATE {jobs} AS job
  SET scheduled_at     = COALESCE(claim.until::timestamp, GREATEST(job.scheduled_at, LOCALTIMESTAMP - interval '5 minutes') + interval '10 minutes'),
      performed_at     = claim.performed_at,
      executions_count = claim.executions_count,
      locked_by_id     = NULL,
      locked_at        = COALESCE(job.scheduled_at, job.created_at),
      lock_type        = CASE WHEN claim.rescued THEN 1 END,
      updated_at       = LOCALTIMESTAMP
  FROM claim
  WHERE job.id = claim.id AND job.locked_by_id IS NOT DISTINCT FROM $1::uuid AND job.locked_at = claim.token
  RETURNING job.id, job.queue_name, job.priority, job.scheduled_at, claim.until
),
notified AS MATERIALIZED (
  SELECT pg_notify('good_job', json_build_object(
           'queue_name', CASE WHEN octet_length(queue_name) <= 1000 THEN queue_name END,
           'count', count(*),
           'scheduled_at', to_char(min(scheduled_at)::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'priority', priority)::text)
  FROM parked
  WHERE until IS NOT NULL
  GROUP BY queue_name, priority
)
SELECT id, (SELECT count(*) FROM notified) AS notifications FROM parked
