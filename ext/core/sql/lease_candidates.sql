-- What:   the end of every claim statement: leases the candidates that the statement has locked, and answers with what is needed to
--         run them.
-- Who:    appended to claim_jobs.sql, claim_jobs_onward.sql and their siblings by postgres/sql.rs.
-- Params: $1 uuid the claiming process   $3 int4 how many of the candidates start at once
-- Index:  primary key
-- Form:   the count stops at the end of its type: one row with an absurd value must not fail the claims of all others.
--         A job without a lock that has a lock_type was rescued before it was on record as started (rescue_jobs.sql).
UPDATE {jobs} AS job
SET locked_by_id     = $1::uuid,
    locked_at        = LOCALTIMESTAMP,
    lock_type        = 1,
    performed_at     = CASE WHEN candidates.position <= $3::int4 THEN LOCALTIMESTAMP ELSE job.performed_at END,
    executions_count = LEAST(COALESCE(job.executions_count, 0), 2147483646) + CASE WHEN candidates.position <= $3::int4 THEN 1 ELSE 0 END
FROM candidates
WHERE job.id = candidates.id
RETURNING job.id,
          job.locked_at,
          job.locked_at::timestamptz AS claimed_at,
          candidates.position,
          candidates.position <= $3::int4 AS stamped,
          candidates.performed_at::timestamptz AS interrupted_at,
          candidates.lock_type IS NOT NULL AS rescued,
          job.executions_count,
          job.serialized_params::text,
          job.queue_name,
          job.priority,
          job.job_class,
          job.concurrency_key,
          job.labels,
          job.scheduled_at::timestamptz AS scheduled_at,
          job.created_at::timestamptz AS created_at
