-- What:   gives back claims of this process that it does not know of: the answer of the claim statement was lost with its
--         connection, after the server had committed it.
-- Who:    postgres/store.rs, in the rescuer's round; and at the end of the process, when nothing that it knows of is left.
-- Params: $1 uuid this process; $2 int8 age in µs: a claim statement older than that has been answered or given up;
--         $3 uuid[] and $4 timestamp[] the leases of that age that it knows of; $5 timestamptz when the session that claims was set
--         up: what an earlier one claimed and has not answered by then is not answered any more
-- Answer: the jobs given back. Every process that listens is told, once a queue and priority.
-- Index:  index_good_jobs_on_locked_by_id
-- Form:   nobody has started them, whatever the claim had stamped. What performed_at was before a stamp is not known any more.
WITH recovered AS (
  UPDATE {jobs} AS job
  SET performed_at     = CASE WHEN job.performed_at = job.locked_at THEN NULL ELSE job.performed_at END,
      executions_count = job.executions_count - CASE WHEN job.performed_at = job.locked_at THEN 1 ELSE 0 END,
      locked_by_id     = NULL,
      locked_at        = NULL,
      lock_type        = NULL,
      updated_at       = LOCALTIMESTAMP
  WHERE job.locked_by_id = $1::uuid
    AND job.locked_at::timestamptz < GREATEST(now() - $2::int8 * interval '1 microsecond', $5::timestamptz)
    AND job.finished_at IS NULL
    AND (job.id, job.locked_at) NOT IN (SELECT * FROM unnest($3::uuid[], $4::timestamp[]))
  RETURNING job.id, job.queue_name, job.priority, job.scheduled_at
),
notified AS MATERIALIZED (
  SELECT pg_notify('good_job', json_build_object(
           'queue_name', CASE WHEN octet_length(queue_name) <= 1000 THEN queue_name END,
           'count', count(*),
           'scheduled_at', to_char(min(scheduled_at)::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'priority', priority)::text)
  FROM recovered
  GROUP BY queue_name, priority
)
SELECT id, (SELECT count(*) FROM notified) AS notifications FROM recovered
