-- What:   announces a job that is in the table already: an operator has given it another time.
-- Who:    operations.rb, on the application's connection, in the transaction that changed the job.
-- Params: $1 uuid job   $2 text the time zone of the columns
-- Index:  primary key
SELECT pg_notify('good_job', json_build_object('queue_name', CASE WHEN octet_length(queue_name) <= 1000 THEN queue_name END,
                                               'scheduled_at', timezone($2::text, scheduled_at),
                                               'priority', priority)::text)::text AS announced
FROM {jobs}
WHERE id = $1::uuid
