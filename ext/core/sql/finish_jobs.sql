-- What:   writes how runs ended: the job is finished, its lease given up, and one execution row per run inserted.
-- Who:    postgres/store.rs, one flush of the completer at a time.
-- Params: $1 uuid the process that holds the leases; then one array element per run:
--         $2 uuid[] job   $3 timestamp[] claim token (locked_at)   $4 uuid[] id of the new execution row
--         $5 timestamptz[] start   $6 timestamptz[] end   $7 int8[] duration in µs   $8 int4[] executions_count after this run
--         $9 text[] error   $10 int2[] error_event   $11 text[] backtrace, each an array literal
-- Answer: the jobs written, each with the batches that its end may concern. A job that is missing had lost its lease: nothing of its run
--         is stored, the next run owns the row.
-- Index:  primary key
-- Form:   the lease is part of the UPDATE's own condition, so that a run whose job was rescued meanwhile cannot overwrite it.
--         IS NOT DISTINCT FROM, here and in the other statements that check a lease, because no index can serve it: the planner
--         would walk index_good_jobs_on_locked_by_id, which looks empty to it and is full of dead entries of finished claims.
WITH run AS (
  SELECT *
  FROM unnest($2::uuid[], $3::timestamp[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::int8[], $8::int4[],
              $9::text[], $10::int2[], $11::text[])
    AS run (id, token, execution_id, started_at, ended_at, duration_us, executions_count, error, error_event, backtrace)
),
finished AS (
  UPDATE {jobs} AS job
  SET finished_at      = run.ended_at,
      performed_at     = run.started_at,
      executions_count = run.executions_count,
      error            = run.error,
      error_event      = run.error_event,
      locked_by_id     = NULL,
      locked_at        = NULL,
      lock_type        = NULL,
      updated_at       = LOCALTIMESTAMP
  FROM run
  WHERE job.id = run.id AND job.locked_by_id IS NOT DISTINCT FROM $1::uuid AND job.locked_at = run.token
  RETURNING job.id, job.active_job_id, job.job_class, job.queue_name, job.serialized_params, job.scheduled_at, job.created_at,
            job.batch_id, job.batch_callback_id, run.execution_id, run.started_at, run.ended_at, run.duration_us, run.error, run.error_event, run.backtrace
),
recorded AS (
  INSERT INTO {executions} (id, active_job_id, job_class, queue_name, serialized_params, scheduled_at, created_at, updated_at,
                            finished_at, error, error_event, error_backtrace, process_id, duration)
  SELECT execution_id, COALESCE(active_job_id, id), job_class, queue_name, serialized_params, COALESCE(scheduled_at, created_at),
         started_at, ended_at, ended_at, error, error_event, backtrace::text[], $1::uuid, duration_us * interval '1 microsecond'
  FROM finished
)
SELECT id, batch_id, batch_callback_id, error IS NOT NULL AS failed FROM finished
