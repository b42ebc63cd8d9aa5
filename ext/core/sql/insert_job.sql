-- What:   enqueues one job and announces it.
-- Who:    enqueuer.rb, on the application's connection, in the application's transaction if one is open.
-- Params: $1 uuid job   $2 text queue_name   $3 int4 priority   $4 text serialized_params (JSON)
--         $5 timestamp scheduled_at, NULL for now   $6 timestamp the caller's now   $7 text the time zone of the columns
--         $8 text job_class   $9 text concurrency_key   $10 text labels, an array literal   $11 text cron_key   $12 timestamp cron_at
--         $13 uuid batch_id   $14 uuid batch_callback_id   $15 bool whether to announce it
--         $16 uuid by whom the job is inserted already claimed, to be run by the caller at once; else NULL
-- Answer: the job's id; no row when the same tick of a cron entry is there already.
-- Index:  index_good_jobs_on_cron_key_and_cron_at_cond
-- Form:   the announcement is part of the statement, and of the row that is answered: the commit delivers it and a rollback drops it. A job for now is due by the
--         earlier of the two clocks, so that a host whose clock runs ahead delays nothing.
INSERT INTO {jobs} (id, active_job_id, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at, job_class,
                    concurrency_key, labels, cron_key, cron_at, batch_id, batch_callback_id,
                    locked_by_id, locked_at, performed_at, executions_count)
VALUES ($1::uuid, $1::uuid, $2::text, $3::int4, $4::text::jsonb,
        COALESCE($5::timestamp, LEAST($6::timestamp, timezone($7::text, clock_timestamp()))), $6::timestamp, $6::timestamp, $8::text,
        $9::text, $10::text::text[], $11::text, $12::timestamp, $13::uuid, $14::uuid,
        $16::uuid,
        CASE WHEN $16::uuid IS NOT NULL THEN $6::timestamp END,
        CASE WHEN $16::uuid IS NOT NULL THEN $6::timestamp END,
        CASE WHEN $16::uuid IS NOT NULL THEN 1 END)
ON CONFLICT (cron_key, cron_at) WHERE cron_key IS NOT NULL DO NOTHING
RETURNING id,
          CASE WHEN $15::bool
               THEN pg_notify('good_job', json_build_object('queue_name', queue_name, 'scheduled_at', timezone($7::text, scheduled_at),
                                                            'priority', priority)::text)::text
          END AS announced
