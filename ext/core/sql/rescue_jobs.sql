-- What:   puts the jobs of dead processes back, writes one execution row for each run that was cut short, removes the processes' rows.
-- Who:    postgres/store.rs, every few seconds in every worker; SKIP LOCKED lets one of them win.
-- Params: $1 uuid the asking process; $2 int8 grace in µs for a process whose session is gone (it may be reconnecting);
--         $3 int8 silence in µs after which a process of ours is dead although its session lives (stopped, or cut off)
--         $4 text the table's part of the processes' advisory lock keys, "good_job_processes-"; $5 text the jobs', "good_jobs-"
--         $6 int4 the interruption in a row with which a job is discarded, or NULL: never
-- Answer: the jobs, and whether each was put back or discarded. Every process that listens is told of those put back, once a queue and
--         priority.
-- Index:  index_good_jobs_on_locked_by_id; index_good_job_executions_on_active_job_id_and_created_at
-- Form:   dead is a process that holds a session lock, once that is gone and its heartbeat is older than the grace; a process of ours
--         that was silent for $3; a process of upstream's without a lock after upstream's 5 minutes; and an owner without any row
--         whose claims are older than 5 minutes. A run that had started keeps performed_at, which tells the next attempt; a claim that had not
--         becomes what it was, but for lock_type, which stays: its next run is counted before it starts, for it may have been the one that
--         took the process down. A job whose own advisory lock is held runs, whoever holds it. The age of a process's heartbeat is asked
--         again where its row is locked, since it may have beaten in between. A process some of whose jobs could not be put back (their rows are
--         locked by somebody, or they run all the same) keeps its row, and is dead in the next round too. Ages are measured between moments, not between wall clocks: those jump with summer time.
WITH lock AS MATERIALIZED (
  SELECT (classid::int8 << 32 | objid::int8) AS key FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
),
silent AS MATERIALIZED (
  SELECT process.id, process.lock_type, process.updated_at, COALESCE(process.state ->> 'runtime' = 'good_job_rs', FALSE) AS ours,
         NOT EXISTS (
           SELECT FROM lock
           WHERE lock.key = ('x' || substr(md5($4::text || process.id::text), 1, 16))::bit(64)::int8
         ) AS unlocked
  FROM {processes} AS process
  WHERE process.id <> $1::uuid AND process.updated_at::timestamptz < now() - $2::int8 * interval '1 microsecond'
),
dead AS MATERIALIZED (
  SELECT process.id
  FROM {processes} AS process
  WHERE process.id IN (
    SELECT id FROM silent
    WHERE (lock_type = 0 AND unlocked)
       OR (ours AND updated_at::timestamptz < now() - $3::int8 * interval '1 microsecond')
       OR (lock_type IS NULL AND updated_at::timestamptz < now() - interval '5 minutes')
  )
    AND process.updated_at::timestamptz < now() - $2::int8 * interval '1 microsecond'
  FOR UPDATE SKIP LOCKED
),
orphaned AS MATERIALIZED (
  SELECT DISTINCT job.locked_by_id AS id
  FROM {jobs} AS job
  WHERE job.locked_by_id IS NOT NULL AND job.locked_at::timestamptz < now() - interval '5 minutes'
    AND job.locked_by_id <> $1::uuid
    AND NOT EXISTS (SELECT FROM {processes} AS process WHERE process.id = job.locked_by_id)
),
abandoned AS MATERIALIZED (
  SELECT job.id, job.locked_by_id, job.locked_at, job.performed_at, COALESCE(job.performed_at >= job.locked_at, FALSE) AS started,
         CASE WHEN $6::int4 IS NOT NULL AND job.performed_at >= job.locked_at THEN 1 + {interruptions before} END AS interruptions
  FROM {jobs} AS job
  WHERE job.locked_by_id IN (SELECT id FROM dead UNION ALL SELECT id FROM orphaned) AND job.finished_at IS NULL
    AND NOT EXISTS (SELECT FROM lock WHERE lock.key = ('x' || substr(md5($5::text || job.id::text), 1, 16))::bit(64)::int8)
  FOR NO KEY UPDATE SKIP LOCKED
),
rescued AS (
  UPDATE {jobs} AS job
  SET locked_by_id = NULL,
      locked_at    = NULL,
      lock_type    = CASE WHEN NOT abandoned.started THEN 1 END,
      updated_at   = LOCALTIMESTAMP,
      finished_at  = CASE WHEN abandoned.interruptions >= $6::int4 THEN LOCALTIMESTAMP END,
      error        = CASE WHEN NOT abandoned.started THEN job.error
                          WHEN abandoned.interruptions >= $6::int4
                          THEN 'GoodJob::InterruptionLimitError: Interrupted after starting perform at ''' || abandoned.performed_at || ''' (' ||
                               abandoned.interruptions || ' in a row, and max_interruptions is ' || $6::int4 || ')'
                          ELSE 'GoodJob::InterruptedError: Interrupted after starting perform at ''' || abandoned.performed_at || '''' END,
      error_event  = CASE WHEN NOT abandoned.started THEN job.error_event WHEN abandoned.interruptions >= $6::int4 THEN 5 ELSE 0 END
  FROM abandoned
  WHERE job.id = abandoned.id
  RETURNING job.id, job.active_job_id, job.job_class, job.queue_name, job.priority, job.serialized_params, job.scheduled_at, job.created_at, job.error,
            job.error_event, job.finished_at IS NOT NULL AS discarded, abandoned.started, abandoned.performed_at, abandoned.locked_by_id AS process_id,
            job.batch_id, job.batch_callback_id
),
recorded AS (
  INSERT INTO {executions} (active_job_id, job_class, queue_name, serialized_params, scheduled_at, created_at, updated_at,
                            finished_at, error, error_event, process_id, duration)
  SELECT COALESCE(active_job_id, id), job_class, queue_name, serialized_params, COALESCE(scheduled_at, created_at),
         performed_at, LOCALTIMESTAMP, LOCALTIMESTAMP, error, error_event, process_id, LOCALTIMESTAMP - performed_at
  FROM rescued
  WHERE started
),
removed AS (
  DELETE FROM {processes} AS process
  WHERE process.id IN (SELECT id FROM dead)
    AND NOT EXISTS (
      SELECT FROM {jobs} AS job
      WHERE job.locked_by_id = process.id AND job.finished_at IS NULL AND job.id NOT IN (SELECT id FROM abandoned)
    )
),
notified AS MATERIALIZED (
  SELECT pg_notify('good_job', json_build_object(
           'queue_name', CASE WHEN octet_length(queue_name) <= 1000 THEN queue_name END,
           'count', count(*),
           'scheduled_at', to_char(min(scheduled_at)::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'priority', priority)::text)
  FROM rescued
  WHERE NOT discarded
  GROUP BY queue_name, priority
)
SELECT id, batch_id, batch_callback_id, discarded AS failed, (SELECT count(*) FROM notified) AS notifications FROM rescued
