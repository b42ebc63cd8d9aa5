-- What:   enqueues many jobs and announces them, once for each queue, priority and time.
-- Who:    enqueuer.rb, on the application's connection, at most 1,000 jobs at a time.
-- Params: $1 timestamp the caller's now   $2 text the time zone of the columns; then text array literals, one element per job:
--         $3 job   $4 queue_name   $5 priority   $6 serialized_params (JSON)   $7 scheduled_at, NULL for now   $8 job_class
--         $9 concurrency_key   $10 labels, each an array literal   $11 cron_key   $12 cron_at   $13 batch_id   $14 batch_callback_id
--         $15 whether to announce it
-- Answer: one row: how many were inserted; and if that is not all of them, because the same tick of a cron entry is there already, which.
-- Index:  index_good_jobs_on_cron_key_and_cron_at_cond
-- Form:   as insert_job.sql. The announcements must be read by the outer SELECT: a CTE that only selects runs only as far as it is read.
WITH job AS (
  SELECT *
  FROM unnest($3::uuid[], $4::text[], $5::int4[], $6::text[], $7::timestamp[], $8::text[], $9::text[], $10::text[], $11::text[],
              $12::timestamp[], $13::uuid[], $14::uuid[], $15::bool[])
    AS job (id, queue_name, priority, serialized_params, scheduled_at, job_class, concurrency_key, labels, cron_key,
            cron_at, batch_id, batch_callback_id, announce)
),
inserted AS (
  INSERT INTO {jobs} (id, active_job_id, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at, job_class,
                      concurrency_key, labels, cron_key, cron_at, batch_id, batch_callback_id)
  SELECT id, id, queue_name, priority, serialized_params::jsonb,
         COALESCE(scheduled_at, LEAST($1::timestamp, timezone($2::text, clock_timestamp()))), $1::timestamp, $1::timestamp, job_class,
         concurrency_key, labels::text[], cron_key, cron_at, batch_id, batch_callback_id
  FROM job
  ON CONFLICT (cron_key, cron_at) WHERE cron_key IS NOT NULL DO NOTHING
  RETURNING id, queue_name, priority, scheduled_at
),
announced AS (
  SELECT pg_notify('good_job', json_build_object('queue_name', inserted.queue_name, 'count', count(*),
                                                 'scheduled_at', timezone($2::text, inserted.scheduled_at),
                                                 'priority', inserted.priority)::text)
  FROM inserted
  JOIN job USING (id)
  WHERE job.announce
  GROUP BY inserted.queue_name, inserted.priority, inserted.scheduled_at
)
SELECT count(*) AS inserted,
       CASE WHEN count(*) < cardinality($3::uuid[]) THEN array_agg(id)::text END AS ids,
       (SELECT count(*) FROM announced) AS announcements
FROM inserted
