-- What:   how often in a row a job has been cut short before now.
-- Who:    in place of {interruptions before} in interrupt_jobs.sql, rescue_jobs.sql and finish_inline.sql, by postgres/sql.rs; `job` is the row.
-- Index:  index_good_job_executions_on_active_job_id_and_created_at
-- Form:   in a row are the interruptions since the last attempt that ended by itself. One that InterruptErrors ended before perform is no
--         such attempt, nor is it an interruption; one that was discarded for its interruptions is, so that an operator who retries the
--         job begins to count anew.
(
  SELECT count(*)
  FROM {executions} AS earlier
  WHERE earlier.active_job_id = COALESCE(job.active_job_id, job.id) AND earlier.error LIKE 'GoodJob::InterruptedError: %'
    AND earlier.created_at > COALESCE((
      SELECT max(ended.created_at)
      FROM {executions} AS ended
      WHERE ended.active_job_id = COALESCE(job.active_job_id, job.id)
        AND (ended.error IS NULL OR ended.error NOT LIKE ALL (ARRAY['GoodJob::InterruptedError: %', 'GoodJob::InterruptError: %']))
    ), '-infinity')
)
