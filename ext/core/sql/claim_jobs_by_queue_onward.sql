-- What:   claims as claim_jobs_by_queue.sql does, but only behind marks: for each of some queues and priorities, behind the job up to
--         which this process has looked before.
-- Who:    postgres/store.rs, for a pool over one queue ("mice") or over queues in strict order ("+mice,elephants").
-- Params: $1 uuid, $2 int4, $3 int4 as in claim_jobs.sql; then one array element per mark, in the order of the queues and priorities:
--         $4 text[] queue   $5 int4[] priority   $6 timestamptz[] scheduled_at   $7 uuid[] id
-- Index:  index_good_jobs_for_claim_by_queue
-- Form:   as claim_jobs_onward.sql. Both ends of the range are rows that begin with the queue: with equalities in their place the planner
--         has been seen to prefer the index that does not, and to read the jobs of all other queues.
WITH due AS (
  SELECT job.id, job.performed_at, job.lock_type
  FROM unnest($4::text[], $5::int4[], $6::timestamptz[], $7::uuid[]) AS mark (queue, priority, at, id)
  CROSS JOIN LATERAL (
    SELECT {jobs}.id, performed_at, lock_type
    FROM {jobs}
    WHERE finished_at IS NULL AND locked_by_id IS NULL
      AND (queue_name, {jobs}.priority, scheduled_at, {jobs}.id) > (mark.queue, mark.priority, mark.at::timestamp, mark.id)
      AND (queue_name, {jobs}.priority, scheduled_at) <= (mark.queue, mark.priority, LOCALTIMESTAMP)
    ORDER BY queue_name, {jobs}.priority, scheduled_at, {jobs}.id
    LIMIT 2000
    FOR NO KEY UPDATE SKIP LOCKED
  ) AS job
  LIMIT $2::int4
),
candidates AS MATERIALIZED (
  SELECT id, performed_at, lock_type, row_number() OVER () AS position FROM due
)
