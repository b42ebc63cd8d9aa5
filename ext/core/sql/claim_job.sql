-- What:   claims one given job for the calling thread, and takes its advisory lock.
-- Who:    performer.rb (GoodJob::Job.perform_with_lock, GoodJob::Job#perform), on the application's connection.
-- Params: $1 uuid by whom   $2 timestamp the caller's now   $3 uuid the job   $4 int2 lock_type: what the row says of how it is locked
--         $5 timestamp only if it is due by then, or NULL: whatever its time   $6 bool whether it may be claimed by $1 already
--         $7 text the table's part of the jobs' advisory lock keys, "good_jobs-"
-- Answer: the claim, as in claim_inline.sql, or no row: the job has ended, is not due, or somebody else has it.
-- Index:  primary key
-- Form:   both or neither: the row is locked first, then the advisory lock is tried, and only then is the job claimed. The caller has no
--         heartbeat; the lock is what tells rescue_jobs.sql that the job runs, and what workers of GoodJob in :advisory look at.
--         The lock is the transaction's, as in claim_inline.sql.
--         `kind` has lock_type apart from its column: tables of an older GoodJob lack that, and the line goes, but not the parameter.
WITH candidate AS MATERIALIZED (
  SELECT id, performed_at, $4::int2 AS kind
  FROM {jobs}
  WHERE id = $3::uuid
    AND finished_at IS NULL
    AND (locked_by_id IS NULL OR ($6::bool AND locked_by_id = $1::uuid))
    AND ($5::timestamp IS NULL OR scheduled_at <= $5::timestamp)
  FOR NO KEY UPDATE SKIP LOCKED
),
keyed AS MATERIALIZED (
  SELECT id, performed_at, kind, ('x' || substr(md5($7::text || id::text), 1, 16))::bit(64)::int8 AS key FROM candidate
),
held AS MATERIALIZED (
  SELECT id, performed_at, kind, pg_try_advisory_xact_lock(key) AS locked FROM keyed
)
UPDATE {jobs} AS job
SET locked_by_id     = $1::uuid,
    locked_at        = $2::timestamp,
    lock_type        = held.kind,
    performed_at     = $2::timestamp,
    executions_count = COALESCE(job.executions_count, 0) + 1,
    updated_at       = $2::timestamp
FROM held
WHERE job.id = held.id AND held.locked
RETURNING job.id, job.serialized_params::text AS serialized_params, job.concurrency_key, job.labels::text AS labels, job.queue_name,
          job.job_class, job.executions_count, (EXTRACT(EPOCH FROM held.performed_at::timestamptz) * 1000000)::int8 AS interrupted_at
