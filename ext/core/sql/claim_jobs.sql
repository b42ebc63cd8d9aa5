-- What:   claims up to $2 due jobs in order of priority, then scheduled_at, then id; skips rows that another session is claiming.
-- Who:    postgres/store.rs, for pools over all queues, over several queues, or over all queues but some.
-- Params: $1 uuid    the claiming process (good_job_processes.id)
--         $2 int4    how many jobs at most
--         $3 int4    how many of them start at once and so are stamped (performed_at, executions_count); the others are prefetched
--         $4 text[]  only these queues, or NULL
--         $5 text[]  none of these queues, or NULL
-- Index:  index_good_jobs_for_claim
-- Form:   a recursive CTE walks the distinct priorities, so that a million future jobs of one priority are one index probe and
--         not a million entries to step over. LATERAL under LIMIT is evaluated row by row: no more rows are locked than taken.
--         A NULL priority compares with nothing, hence its own branch, last as in NULLS LAST; the planner does not see that IS NULL
--         leaves the index in order of scheduled_at, so the branch sorts by priority as well.
--         The inner LIMIT is a constant that only tells the planner to walk the index in order; it is above any $2.
WITH RECURSIVE priorities AS (
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
due AS (
  SELECT job.id, job.performed_at, job.lock_type
  FROM priorities
  CROSS JOIN LATERAL (
    SELECT id, performed_at, lock_type
    FROM {jobs}
    WHERE finished_at IS NULL AND locked_by_id IS NULL
      AND {jobs}.priority = priorities.priority
      AND scheduled_at <= LOCALTIMESTAMP
      AND ($4::text[] IS NULL OR queue_name = ANY ($4::text[]))
      AND ($5::text[] IS NULL OR queue_name IS NULL OR queue_name <> ALL ($5::text[]))
    ORDER BY scheduled_at, id
    LIMIT 2000
    FOR NO KEY UPDATE SKIP LOCKED
  ) AS job
  UNION ALL
  SELECT unprioritized.id, unprioritized.performed_at, unprioritized.lock_type
  FROM (
    SELECT id, performed_at, lock_type
    FROM {jobs}
    WHERE finished_at IS NULL AND locked_by_id IS NULL
      AND {jobs}.priority IS NULL
      AND scheduled_at <= LOCALTIMESTAMP
      AND ($4::text[] IS NULL OR queue_name = ANY ($4::text[]))
      AND ($5::text[] IS NULL OR queue_name IS NULL OR queue_name <> ALL ($5::text[]))
    ORDER BY priority, scheduled_at, id
    LIMIT 2000
    FOR NO KEY UPDATE SKIP LOCKED
  ) AS unprioritized
  LIMIT $2::int4
),
candidates AS MATERIALIZED (
  SELECT id, performed_at, lock_type, row_number() OVER () AS position FROM due
)
