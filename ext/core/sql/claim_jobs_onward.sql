-- What:   claims as claim_jobs.sql does, but only behind marks: for each of some priorities, behind the job up to which this process
--         has looked before.
-- Who:    postgres/store.rs, for pools over all queues, over several queues, or over all queues but some.
-- Params: $1 uuid, $2 int4, $3 int4, $4 text[], $5 text[] as in claim_jobs.sql; then one array element per mark, in ascending order:
--         $6 int4[] priority   $7 timestamptz[] scheduled_at   $8 uuid[] id
-- Index:  index_good_jobs_for_claim
-- Form:   the head of the index, whose entries may be those of jobs that have ended while a snapshot held somewhere keeps them from
--         being forgotten, is not touched: each mark is one probe, in the middle of the index.
WITH due AS (
  SELECT job.id, job.performed_at, job.lock_type
  FROM unnest($6::int4[], $7::timestamptz[], $8::uuid[]) AS mark (priority, at, id)
  CROSS JOIN LATERAL (
    SELECT {jobs}.id, performed_at, lock_type
    FROM {jobs}
    WHERE finished_at IS NULL AND locked_by_id IS NULL
      AND {jobs}.priority = mark.priority
      AND (scheduled_at, {jobs}.id) > (mark.at::timestamp, mark.id)
      AND scheduled_at <= LOCALTIMESTAMP
      AND ($4::text[] IS NULL OR queue_name = ANY ($4::text[]))
      AND ($5::text[] IS NULL OR queue_name IS NULL OR queue_name <> ALL ($5::text[]))
    ORDER BY scheduled_at, {jobs}.id
    LIMIT 2000
    FOR NO KEY UPDATE SKIP LOCKED
  ) AS job
  LIMIT $2::int4
),
candidates AS MATERIALIZED (
  SELECT id, performed_at, lock_type, row_number() OVER () AS position FROM due
)
