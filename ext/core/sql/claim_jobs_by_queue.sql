-- What:   claims up to $2 due jobs, taking the queues in the order given; within a queue by priority, scheduled_at, id.
-- Who:    postgres/store.rs, for a pool over one queue ("mice") or over queues in strict order ("+mice,elephants").
-- Params: $1 uuid, $2 int4, $3 int4 as in claim_jobs.sql; $4 text[] the queues, in order
-- Index:  index_good_jobs_for_claim_by_queue
-- Form:   as claim_jobs.sql, one level deeper: queue, then priority, then jobs, each pulled only while LIMIT asks for more. A million
--         ready jobs of other queues are never read.
WITH due AS (
  SELECT job.id, job.performed_at, job.lock_type
  FROM unnest($4::text[]) WITH ORDINALITY AS queue (name, position)
  CROSS JOIN LATERAL (
    WITH RECURSIVE priorities AS (
      (SELECT priority
       FROM {jobs}
       WHERE finished_at IS NULL AND locked_by_id IS NULL AND queue_name = queue.name
       ORDER BY priority
       LIMIT 1)
      UNION ALL
      SELECT (SELECT lower.priority
              FROM {jobs} AS lower
              WHERE lower.finished_at IS NULL AND lower.locked_by_id IS NULL
                AND lower.queue_name = queue.name AND lower.priority > priorities.priority
              ORDER BY lower.priority
              LIMIT 1)
      FROM priorities
      WHERE priorities.priority IS NOT NULL
    )
    SELECT prioritized.id, prioritized.performed_at, prioritized.lock_type
    FROM priorities
    CROSS JOIN LATERAL (
      SELECT id, performed_at, lock_type
      FROM {jobs}
      WHERE finished_at IS NULL AND locked_by_id IS NULL
        AND queue_name = queue.name
        AND {jobs}.priority = priorities.priority
        AND scheduled_at <= LOCALTIMESTAMP
      ORDER BY scheduled_at, id
      LIMIT 2000
      FOR NO KEY UPDATE SKIP LOCKED
    ) AS prioritized
    UNION ALL
    SELECT unprioritized.id, unprioritized.performed_at, unprioritized.lock_type
    FROM (
      SELECT id, performed_at, lock_type
      FROM {jobs}
      WHERE finished_at IS NULL AND locked_by_id IS NULL
        AND queue_name = queue.name
        AND {jobs}.priority IS NULL
        AND scheduled_at <= LOCALTIMESTAMP
      ORDER BY priority, scheduled_at, id
      LIMIT 2000
      FOR NO KEY UPDATE SKIP LOCKED
    ) AS unprioritized
  ) AS job
  LIMIT $2::int4
),
candidates AS MATERIALIZED (
  SELECT id, performed_at, lock_type, row_number() OVER () AS position FROM due
)
