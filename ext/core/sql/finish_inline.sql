-- What:   writes how one run in the inline mode ended: finishes, retries, gives back or deletes the job, and records the attempt.
-- Who:    inline/attempt.rb, on the application's connection.
-- Params: $1 uuid job   $2 uuid by whom it is held   $3 timestamp the caller's now   $4 int8 duration in µs
--         $5 text what happens: "finish", "retry", "interrupt", "release" or "delete"   $6 text error   $7 int2 error_event
--         $8 text backtrace, an array literal   $9 bool whether to insert an execution row
--         $10 text serialized_params of the next attempt (JSON), NULL: everything as it was   $11 timestamp its scheduled_at, NULL: now
--         $12 text its queue_name   $13 int4 its priority   $14 text its labels, an array literal
--         $15 timestamp locked_at of the claim, or NULL: the caller holds the job once at a time, and need not tell one claim from another
--         $16 int4 the interruption in a row with which a job is discarded, or NULL: never
-- Answer: the job's id, whether it is due again at once, whether it was discarded for its interruptions, and the batches that its end may
--         concern; no row when somebody else holds the job.
-- Index:  primary key; index_good_job_executions_on_active_job_id_and_created_at
-- Form:   `held` reads the row as it was, for the execution row. A job of a cron entry, and one that failed in a batch, are finished
--         where others are deleted, as in delete_jobs.sql. Whoever runs jobs inline is told of an interruption by the
--         exception, and asks for the next run by itself: nothing is put off.
WITH held AS MATERIALIZED (
  SELECT job.*,
         CASE WHEN $5::text = 'delete' AND (job.cron_key IS NOT NULL OR (job.batch_id IS NOT NULL AND $6::text IS NOT NULL))
              THEN 'finish' ELSE $5::text END AS action,
         CASE WHEN $5::text = 'interrupt' AND $16::int4 IS NOT NULL THEN 1 + {interruptions before} END AS interruptions
  FROM {jobs} AS job
  WHERE job.id = $1::uuid AND job.locked_by_id IS NOT DISTINCT FROM $2::uuid
    AND ($15::timestamp IS NULL OR job.locked_at = $15::timestamp)
  FOR UPDATE
),
run AS MATERIALIZED (
  SELECT held.*, COALESCE(interruptions >= $16::int4, FALSE) AS discarded,
         CASE WHEN action <> 'interrupt' THEN $6::text
              WHEN interruptions >= $16::int4
              THEN 'GoodJob::InterruptionLimitError: Interrupted after starting perform at ''' || performed_at || ''' (' ||
                   interruptions || ' in a row, and max_interruptions is ' || $16::int4 || ')'
              ELSE 'GoodJob::InterruptedError: Interrupted after starting perform at ''' || performed_at || '''' END AS run_error,
         CASE WHEN action <> 'interrupt' THEN $7::int2 WHEN interruptions >= $16::int4 THEN 5 ELSE 0 END AS run_error_event
  FROM held
),
deleted AS (
  DELETE FROM {jobs} WHERE id IN (SELECT id FROM run WHERE action = 'delete')
  RETURNING id, batch_id, batch_callback_id
),
forgotten AS (
  DELETE FROM {executions} WHERE active_job_id IN (SELECT id FROM deleted)
),
recorded AS (
  INSERT INTO {executions} (active_job_id, job_class, queue_name, serialized_params, scheduled_at, created_at, updated_at,
                            finished_at, error, error_event, error_backtrace, process_id, duration)
  SELECT COALESCE(active_job_id, id), job_class, queue_name, serialized_params, COALESCE(scheduled_at, created_at), performed_at, $3::timestamp,
         $3::timestamp, run_error, run_error_event, $8::text::text[], locked_by_id, $4::int8 * interval '1 microsecond'
  FROM run
  WHERE $9::bool OR (action = 'finish' AND $5::text = 'delete')
),
written AS (
  UPDATE {jobs} AS job
  SET finished_at       = CASE WHEN run.action = 'finish' OR run.discarded THEN $3::timestamp END,
      performed_at      = CASE WHEN run.action <> 'retry' THEN job.performed_at END,
      error             = CASE WHEN run.action = 'release' THEN job.error ELSE run.run_error END,
      error_event       = CASE WHEN run.action = 'release' THEN job.error_event ELSE run.run_error_event END,
      serialized_params = COALESCE($10::text::jsonb, job.serialized_params),
      scheduled_at      = CASE WHEN $10::text IS NULL THEN job.scheduled_at ELSE COALESCE($11::timestamp, $3::timestamp) END,
      queue_name        = CASE WHEN $10::text IS NULL THEN job.queue_name ELSE $12::text END,
      priority          = CASE WHEN $10::text IS NULL THEN job.priority ELSE $13::int4 END,
      labels            = CASE WHEN $10::text IS NULL THEN job.labels ELSE $14::text::text[] END,
      locked_by_id      = NULL,
      locked_at         = NULL,
      lock_type         = NULL,
      updated_at        = $3::timestamp
  FROM run
  WHERE job.id = run.id AND run.action <> 'delete'
  RETURNING job.id, run.action = 'retry' AND job.scheduled_at <= $3::timestamp AS due, run.discarded,
            job.batch_id, job.batch_callback_id
)
SELECT id, due, discarded, batch_id, batch_callback_id FROM written
UNION ALL
SELECT id, false, false, batch_id, batch_callback_id FROM deleted
