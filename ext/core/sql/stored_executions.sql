-- What:   which of these runs have been stored: their execution rows are there, or their jobs are not (preserve_job_records).
-- Who:    postgres/store.rs, after a flush whose answer was lost with its connection: only so can a lease that was lost be told from
--         one that the flush itself gave up.
-- Params: $1 uuid[] ids of execution rows; $2 uuid[] the job of each
-- Answer: of those runs, the ids of the execution rows.
-- Index:  primary keys
SELECT run.execution_id
FROM unnest($1::uuid[], $2::uuid[]) AS run (execution_id, job_id)
WHERE EXISTS (SELECT FROM {executions} AS execution WHERE execution.id = run.execution_id)
   OR NOT EXISTS (SELECT FROM {jobs} AS job WHERE job.id = run.job_id)
