-- What:   deletes jobs that ended before a time, the oldest first, with their execution rows: one small step of a cleanup.
-- Who:    postgres/store.rs, by itself now and then; cleanup.rb, when asked.
-- Params: $1 timestamp the time; NULL: $2 ago by the database's clock   $2 int8 µs   $3 int4 how many rows to look at
--         $4 bool whether to delete jobs that failed, too   $5 timestamp only those that ended then or later, or NULL
-- Answer: how many jobs and executions were deleted, how many jobs were looked at, and where the next step begins.
-- Index:  index_good_jobs_on_finished_at; index_good_job_executions_on_active_job_id_and_created_at
-- Form:   the limit is on what is looked at, so that a step is a small one however many rows are to stay. Rows that somebody has locked
--         are left for the next time.
--         Many may have ended at the same time: whoever goes on from where a step ended begins with that very time.
WITH old AS MATERIALIZED (
  SELECT id, active_job_id, error, finished_at
  FROM {jobs}
  WHERE finished_at <= COALESCE($1::timestamp, LOCALTIMESTAMP - $2::int8 * interval '1 microsecond')
    AND ($5::timestamp IS NULL OR finished_at >= $5::timestamp)
  ORDER BY finished_at
  LIMIT $3::int4
  FOR UPDATE SKIP LOCKED
),
deleted AS (
  DELETE FROM {jobs} AS job
  USING old
  WHERE job.id = old.id AND ($4::bool OR old.error IS NULL)
  RETURNING job.id, job.active_job_id
),
forgotten AS (
  DELETE FROM {executions} AS execution
  USING deleted
  WHERE execution.active_job_id = COALESCE(deleted.active_job_id, deleted.id)
  RETURNING execution.id
)
SELECT (SELECT count(*) FROM deleted) AS jobs,
       (SELECT count(*) FROM forgotten) AS executions,
       (SELECT count(*) FROM old) AS seen,
       (SELECT max(finished_at) FROM old) AS reached
