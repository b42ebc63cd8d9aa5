-- What:   waits for an advisory lock, which is then held until the end of the transaction.
-- Who:    batch/progress.rb, around every change of a batch's state, as GoodJob does; cron_entry.rb, so that of all processes that want to
--         enqueue the same tick all but one find it there.
-- Params: $1 text the lock's key text; for a batch "good_job_batches-<id>" (GoodJob's own rule)
SELECT pg_advisory_xact_lock(('x' || substr(md5($1::text), 1, 16))::bit(64)::int8) IS NULL AS held
