-- What:   claims the first $3 jobs that are parked, for a thread that has a slot for them.
-- Who:    slots.rb, for limits by key, on the application's connection.
-- Params: $1 text the time zone of the columns   $2 text concurrency_key   $3 int4 how many at most
--         $4 uuid the claiming process   $5 text only these queues, an array literal, or NULL   $6 text not these queues, likewise
-- Answer: the claims, in order, with what Native::Runtime#adopt wants to know.
-- Index:  index_good_jobs_on_concurrency_key_when_unfinished
-- Form:   the index has the jobs of a key in the order in which they were parked. Not stamped: the runs that start do that.
WITH clock AS (
  SELECT timezone($1::text, clock_timestamp()) AS now
),
parked AS MATERIALIZED (
  SELECT id, performed_at, scheduled_at, lock_type
  FROM {jobs}
  WHERE finished_at IS NULL AND locked_by_id IS NULL AND locked_at IS NOT NULL AND concurrency_key = $2::text
    AND scheduled_at > (SELECT now FROM clock) AND scheduled_at <= (SELECT now FROM clock) + interval '10 minutes'
    AND ($5::text IS NULL OR queue_name = ANY ($5::text::text[]))
    AND ($6::text IS NULL OR queue_name IS NULL OR queue_name <> ALL ($6::text::text[]))
  ORDER BY scheduled_at
  LIMIT $3::int4
  FOR NO KEY UPDATE SKIP LOCKED
),
claimed AS (
  UPDATE {jobs} AS job
  SET scheduled_at = job.locked_at,
      locked_by_id = $4::uuid,
      locked_at    = clock.now,
      lock_type    = 1,
      updated_at   = clock.now
  FROM parked, clock
  WHERE job.id = parked.id
  RETURNING job.*, parked.scheduled_at AS place, parked.performed_at AS interrupted, parked.lock_type IS NOT NULL AS rescued
)
SELECT id, serialized_params::text AS serialized_params, concurrency_key, labels::text AS labels, queue_name, priority, job_class, rescued,
       COALESCE(executions_count, 0) AS executions_count,
       round(extract(epoch FROM locked_at - timestamp '2000-01-01') * 1000000)::int8 AS token_us,
       round(extract(epoch FROM timezone($1::text, locked_at)) * 1000000)::int8 AS claimed_at,
       round(extract(epoch FROM timezone($1::text, interrupted)) * 1000000)::int8 AS interrupted_at,
       round(extract(epoch FROM timezone($1::text, scheduled_at)) * 1000000)::int8 AS scheduled_at,
       round(extract(epoch FROM timezone($1::text, created_at)) * 1000000)::int8 AS created_at
FROM claimed
ORDER BY place
