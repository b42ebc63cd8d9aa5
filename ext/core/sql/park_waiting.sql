-- What:   parks the first $2 jobs that are due and wait for a key that is full, as park_jobs.sql does with one that was claimed.
-- Who:    slots.rb, when a claim was refused, on the application's connection.
-- Params: $1 text concurrency_key   $2 int4 how many at most   $3 text the time zone of the columns
--         $4 timestamptz when the first of them becomes due by itself; NULL: as in park_jobs.sql
--         $5 int4 how many become due together, $6 int8 µs between them; used with $4
-- Answer: how many were parked.
-- Index:  index_good_jobs_on_concurrency_key_when_unfinished
-- Form:   one statement for many jobs: claiming each only to be refused would be the retry storm that parking is there to avoid. The timers have to know of times.
WITH clock AS (
  SELECT timezone($3::text, clock_timestamp()) AS now
),
waiting AS MATERIALIZED (
  SELECT job.id
  FROM {jobs} AS job
  WHERE job.concurrency_key = $1::text AND job.finished_at IS NULL AND job.locked_by_id IS NULL
    AND job.scheduled_at <= (SELECT now FROM clock)
  ORDER BY job.scheduled_at
  LIMIT $2::int4
  FOR NO KEY UPDATE SKIP LOCKED
),
ranked AS (
  SELECT waiting.id, row_number() OVER (ORDER BY job.priority NULLS LAST, job.scheduled_at, job.id) - 1 AS place
  FROM waiting
  JOIN {jobs} AS job ON job.id = waiting.id
),
parked AS (
  UPDATE {jobs} AS job
  SET scheduled_at = COALESCE(timezone($3::text, $4::timestamptz) + (ranked.place / GREATEST($5::int4, 1)) * $6::int8 * interval '1 microsecond',
                              GREATEST(job.scheduled_at, clock.now - interval '5 minutes') + interval '10 minutes'),
      locked_at    = job.scheduled_at,
      updated_at   = clock.now
  FROM ranked, clock
  WHERE job.id = ranked.id
  RETURNING job.queue_name, job.priority, job.scheduled_at
),
announced AS (
  SELECT count(*) AS parked,
         CASE WHEN $4::timestamptz IS NOT NULL
              THEN pg_notify('good_job', json_build_object('queue_name', CASE WHEN octet_length(queue_name) <= 1000 THEN queue_name END,
                                                           'count', count(*), 'scheduled_at', timezone($3::text, min(scheduled_at)),
                                                           'priority', priority)::text)::text
         END AS told
  FROM parked
  GROUP BY queue_name, priority
)
SELECT COALESCE(sum(parked), 0)::int8 AS parked, count(told) AS announcements FROM announced
