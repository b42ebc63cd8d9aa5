-- What:   ends runs of jobs that need not be kept (preserve_job_records): deletes the jobs and all their execution rows. A job of a
--         cron entry stays, finished: its row is what keeps (cron_key, cron_at) unique. So does one that failed in a batch: its row is
--         what tells, and GoodJob::Batch#retry runs again.
-- Who:    postgres/store.rs, in the completer's flush.
-- Params: $1 uuid the process that holds the leases; $2 uuid[] job; $3 timestamp[] claim token; $4 bool[] whether the run failed
-- Answer: the jobs deleted, each with the batches that its end may concern; those that stay are not among them and go through
--         finish_jobs.sql.
-- Index:  primary key; index_good_job_executions_on_active_job_id_and_created_at
WITH run AS (
  SELECT * FROM unnest($2::uuid[], $3::timestamp[], $4::bool[]) AS run (id, token, failed)
),
deleted AS (
  DELETE FROM {jobs} AS job
  USING run
  WHERE job.id = run.id AND job.locked_by_id IS NOT DISTINCT FROM $1::uuid AND job.locked_at = run.token AND job.cron_key IS NULL
    AND (job.batch_id IS NULL OR NOT run.failed)
  RETURNING job.id, job.active_job_id, job.batch_id, job.batch_callback_id
),
forgotten AS (
  DELETE FROM {executions} AS execution
  USING deleted
  WHERE execution.active_job_id = COALESCE(deleted.active_job_id, deleted.id)
)
SELECT id, batch_id, batch_callback_id, FALSE AS failed FROM deleted
