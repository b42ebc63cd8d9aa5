-- What:   for each priority, the first job that has become due since the time given, and the first that will be due, with µs until
--         then.
-- Who:    postgres/store.rs, for the scheduler's one timer.
-- Params: $1 timestamptz somewhat before the last answer, so that no job becomes due unnoticed between two; NULL the first time
-- Answer: a row for each of these jobs, and one without a job that has only the clock.
-- Index:  index_good_jobs_for_claim
-- Form:   a walk over distinct priorities as in claim_jobs.sql, then two probes a priority, however many jobs lie in the future. It goes
--         backwards and so meets each priority at its last job, which is usually there: at its first are the entries of jobs that have
--         ended while a snapshot held somewhere keeps them from being forgotten.
WITH RECURSIVE priorities AS (
  (SELECT priority
   FROM {jobs}
   WHERE finished_at IS NULL AND locked_by_id IS NULL AND priority IS NOT NULL
   ORDER BY priority DESC
   LIMIT 1)
  UNION ALL
  SELECT (SELECT higher.priority
          FROM {jobs} AS higher
          WHERE higher.finished_at IS NULL AND higher.locked_by_id IS NULL AND higher.priority < priorities.priority
          ORDER BY higher.priority DESC
          LIMIT 1)
  FROM priorities
  WHERE priorities.priority IS NOT NULL
),
upcoming AS (
  SELECT priorities.priority, job.scheduled_at
  FROM priorities
  CROSS JOIN LATERAL (
    (SELECT scheduled_at
     FROM {jobs}
     WHERE finished_at IS NULL AND locked_by_id IS NULL
       AND {jobs}.priority = priorities.priority
       AND scheduled_at > $1::timestamptz::timestamp AND scheduled_at <= LOCALTIMESTAMP
     ORDER BY scheduled_at
     LIMIT 1)
    UNION ALL
    (SELECT scheduled_at
     FROM {jobs}
     WHERE finished_at IS NULL AND locked_by_id IS NULL
       AND {jobs}.priority = priorities.priority
       AND scheduled_at > LOCALTIMESTAMP AND scheduled_at < 'infinity'
     ORDER BY scheduled_at
     LIMIT 1)
  ) AS job
  UNION ALL
  (SELECT NULL, scheduled_at
   FROM {jobs}
   WHERE finished_at IS NULL AND locked_by_id IS NULL
     AND {jobs}.priority IS NULL
     AND scheduled_at > $1::timestamptz::timestamp AND scheduled_at <= LOCALTIMESTAMP
   ORDER BY priority, scheduled_at
   LIMIT 1)
  UNION ALL
  (SELECT NULL, scheduled_at
   FROM {jobs}
   WHERE finished_at IS NULL AND locked_by_id IS NULL
     AND {jobs}.priority IS NULL
     AND scheduled_at > LOCALTIMESTAMP AND scheduled_at < 'infinity'
   ORDER BY priority, scheduled_at
   LIMIT 1)
)
SELECT now() AS clock, priority, scheduled_at::timestamptz AS scheduled_at,
       (extract(epoch FROM scheduled_at - LOCALTIMESTAMP) * 1000000)::int8 AS delay_us
FROM upcoming
UNION ALL
SELECT now(), NULL, NULL, NULL
