-- What:   makes the first $3 jobs that are parked due again, at the time for which they were scheduled, and announces them.
-- Who:    slots.rb, for limits by key, on the application's connection.
-- Params: $1 text the time zone of the columns   $2 text concurrency_key   $3 int4 how many at most
-- Answer: how many there were.
-- Index:  index_good_jobs_on_concurrency_key_when_unfinished
-- Form:   the index has the jobs of a key in the order in which they were parked.
WITH clock AS (
  SELECT timezone($1::text, clock_timestamp()) AS now
),
parked AS MATERIALIZED (
  SELECT job.id
  FROM {jobs} AS job
  WHERE job.finished_at IS NULL AND job.locked_by_id IS NULL AND job.locked_at IS NOT NULL AND job.concurrency_key = $2::text
    AND job.scheduled_at > (SELECT now FROM clock) AND job.scheduled_at <= (SELECT now FROM clock) + interval '10 minutes'
  ORDER BY job.scheduled_at
  LIMIT $3::int4
  FOR NO KEY UPDATE SKIP LOCKED
),
woken AS (
  UPDATE {jobs} AS job
  SET scheduled_at = job.locked_at, locked_at = NULL, updated_at = clock.now
  FROM parked, clock
  WHERE job.id = parked.id
  RETURNING job.queue_name, job.priority, job.scheduled_at
),
announced AS (
  SELECT count(*) AS woken,
         pg_notify('good_job', json_build_object('queue_name', CASE WHEN octet_length(queue_name) <= 1000 THEN queue_name END,
                                                 'count', count(*), 'scheduled_at', timezone($1::text, min(scheduled_at)),
                                                 'priority', priority)::text)::text AS told
  FROM woken
  GROUP BY queue_name, priority
)
SELECT COALESCE(sum(woken), 0)::int8 AS woken, count(told) AS announcements FROM announced
