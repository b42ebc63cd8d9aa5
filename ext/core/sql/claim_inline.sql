-- What:   claims the next due job for the calling thread, and takes its advisory lock; passes over jobs whose lock somebody else has.
-- Who:    inline.rb (GoodJob.perform_inline, and immediate retries in the inline mode), on the application's connection.
-- Params: $1 uuid by whom   $2 timestamp the caller's now: what is due goes by its clock, so that time travel in tests works
--         $3 uuid only this job, or NULL   $4 text only these queues, an array literal, or NULL   $5 text not these queues, likewise
--         $6 bool whether the queues of $4 go in the order given
--         $7 text, $8 text, $9 text what is paused: queues, job classes, labels, each an array literal, or NULL
--         $10 text the table's part of the jobs' advisory lock keys, "good_jobs-", or NULL: no lock, the caller has it or nobody sees the job
-- Answer: the claim, with the start of an attempt that was cut short in µs, or no row.
-- Index:  index_good_jobs_for_claim, index_good_jobs_for_claim_by_queue, primary key
-- Form:   one job at a time and a sort by position: this runs in tests and consoles. Workers claim by claim_jobs.sql.
--         A worker of GoodJob in :advisory has a job by its lock alone. `taken` keeps this from locking such a job's row, which its worker
--         could not change before the end of the caller's transaction; the try decides. It stands outside of `found`, so that each job
--         is tried once, in order, until one is had; OFFSET 0 keeps it there: inside, the planner would try the locks of all that it sorts.
--         The lock is the transaction's, and goes with a claim that fails after all; the caller then takes it for the session (hold_job.sql).
WITH taken AS MATERIALIZED (
  SELECT (classid::int8 << 32 | objid::int8) AS key
  FROM pg_locks
  WHERE $10::text IS NOT NULL AND locktype = 'advisory' AND objsubid = 1 AND granted AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
),
candidate AS MATERIALIZED (
  SELECT id, performed_at
  FROM (
    SELECT id, performed_at
    FROM {jobs}
    WHERE finished_at IS NULL
      AND locked_by_id IS NULL
      AND scheduled_at <= $2::timestamp
      AND ($3::uuid IS NULL OR id = $3::uuid)
      AND ($4::text IS NULL OR queue_name = ANY ($4::text::text[]))
      AND ($5::text IS NULL OR queue_name IS NULL OR queue_name <> ALL ($5::text::text[]))
      AND ($7::text IS NULL OR queue_name IS NULL OR queue_name <> ALL ($7::text::text[]))
      AND ($8::text IS NULL OR job_class IS NULL OR job_class <> ALL ($8::text::text[]))
      AND ($9::text IS NULL OR labels IS NULL OR NOT labels && $9::text::text[])
      AND ($10::text IS NULL
           OR ('x' || substr(md5($10::text || id::text), 1, 16))::bit(64)::int8 NOT IN (SELECT key FROM taken))
    ORDER BY CASE WHEN $6::bool THEN array_position($4::text::text[], queue_name) END, priority NULLS LAST, scheduled_at, id
    OFFSET 0
    FOR NO KEY UPDATE SKIP LOCKED
  ) AS found
  WHERE $10::text IS NULL OR pg_try_advisory_xact_lock(('x' || substr(md5($10::text || found.id::text), 1, 16))::bit(64)::int8)
  LIMIT 1
)
UPDATE {jobs} AS job
SET locked_by_id     = $1::uuid,
    locked_at        = $2::timestamp,
    lock_type        = 1,
    performed_at     = $2::timestamp,
    executions_count = COALESCE(job.executions_count, 0) + 1,
    updated_at       = $2::timestamp
FROM candidate
WHERE job.id = candidate.id
RETURNING job.id, job.serialized_params::text AS serialized_params, job.concurrency_key, job.labels::text AS labels, job.queue_name,
          job.job_class, job.executions_count, (EXTRACT(EPOCH FROM candidate.performed_at::timestamptz) * 1000000)::int8 AS interrupted_at
