-- What:   makes the first $3 jobs that are parked due again, at the time for which they were scheduled, and announces them.
-- Who:    slots.rb, for limits by label, and for those over all jobs, on the application's connection.
-- Params: $1 text the time zone of the columns   $2 text a label that the jobs have; NULL: any jobs   $3 int4 how many at most
-- Answer: how many there were.
-- Index:  index_good_jobs_for_claim
-- Form:   a parked job is due within ten minutes, and so lies in one range of the index for each priority.
WITH RECURSIVE clock AS (
  SELECT timezone($1::text, clock_timestamp()) AS now
),
priorities AS (
  (SELECT priority
   FROM {jobs}
   WHERE finished_at IS NULL AND locked_by_id IS NULL
   ORDER BY priority
   LIMIT 1)
  UNION ALL
  SELECT (SELECT lower.priority
          FROM {jobs} AS lower
          WHERE lower.finished_at IS NULL AND lower.locked_by_id IS NULL AND lower.priority > priorities.priority
          ORDER BY lower.priority
          LIMIT 1)
  FROM priorities
  WHERE priorities.priority IS NOT NULL
),
parked AS MATERIALIZED (
  SELECT job.id, job.performed_at, job.scheduled_at
  FROM priorities
  CROSS JOIN LATERAL (
    SELECT id, performed_at, scheduled_at
    FROM {jobs}
    WHERE finished_at IS NULL AND locked_by_id IS NULL AND {jobs}.priority = priorities.priority
      AND scheduled_at > (SELECT now FROM clock) AND scheduled_at <= (SELECT now FROM clock) + interval '10 minutes'
      AND locked_at IS NOT NULL AND ($2::text IS NULL OR labels && ARRAY[$2::text])
    ORDER BY scheduled_at, id
    LIMIT $3::int4
    FOR NO KEY UPDATE SKIP LOCKED
  ) AS job
  LIMIT $3::int4
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
