-- What:   marks prefetched claims as started: performed_at and executions_count. From here on a crash counts as an interruption.
-- Who:    postgres/store.rs: before the start for jobs that must know of interruptions, otherwise for runs that last.
-- Params: $1 uuid the process that holds the leases; $2 uuid[] job; $3 timestamp[] claim token; $4 timestamptz[] start; $5 int4[] executions_count
-- Answer: the jobs marked; one that is missing has lost its lease.
-- Index:  primary key
WITH claim AS (
  SELECT * FROM unnest($2::uuid[], $3::timestamp[], $4::timestamptz[], $5::int4[]) AS claim (id, token, started_at, executions_count)
)
UPDATE {jobs} AS job
SET performed_at     = claim.started_at,
    executions_count = claim.executions_count,
    updated_at       = LOCALTIMESTAMP
FROM claim
WHERE job.id = claim.id AND job.locked_by_id IS NOT DISTINCT FROM $1::uuid AND job.locked_at = claim.token
RETURNING job.id
