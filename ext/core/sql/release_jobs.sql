-- What:   gives claims back that never started: each job becomes exactly what it was before the claim.
-- Who:    postgres/store.rs: buffered claims at a drain, or past their time; inline/attempt.rb, for a job that a callback kept from running.
-- Params: $1 uuid the process that holds the leases; $2 uuid[] job; $3 timestamp[] claim token;
--         $4 timestamptz[] performed_at before the claim; $5 int4[] executions_count before the claim
--         $6 bool[] whether the job had been rescued before it was on record as started (rescue_jobs.sql)
-- Answer: the jobs given back.
-- Index:  primary key
-- Form:   every process that listens is told, once a queue and priority: somebody else may have a thread free.
WITH claim AS (
  SELECT *
  FROM unnest($2::uuid[], $3::timestamp[], $4::timestamptz[], $5::int4[], $6::bool[])
    AS claim (id, token, performed_at, executions_count, rescued)
),
released AS (
  UPDATE {jobs} AS job
  SET performed_at     = claim.performed_at,
      executions_count = claim.executions_count,
      locked_by_id     = NULL,
      locked_at        = NULL,
      lock_type        = CASE WHEN claim.rescued THEN 1 END,
      updated_at       = LOCALTIMESTAMP
  FROM claim
  WHERE job.id = claim.id AND job.locked_by_id IS NOT DISTINCT FROM $1::uuid AND job.locked_at = claim.token
  RETURNING job.id, job.queue_name, job.priority, job.scheduled_at
),
notified AS MATERIALIZED (
  SELECT pg_notify('good_job', json_build_object(
           'queue_name', CASE WHEN octet_length(queue_name) <= 1000 THEN queue_name END,
           'count', count(*),
           'scheduled_at', to_char(min(scheduled_at)::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'priority', priority)::text)
  FROM released
  GROUP BY queue_name, priority
)
SELECT id, (SELECT count(*) FROM notified) AS notifications FROM released
