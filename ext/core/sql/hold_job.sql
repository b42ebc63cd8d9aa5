-- What:   takes the job's own advisory lock on this session.
-- Who:    inline.rb and performer.rb, outside of the caller's transactions: before a job is inserted that is to run, or at the end of the
--         transaction in which one is claimed (claim_inline.sql, claim_job.sql). A process that runs jobs inline has no heartbeat; this lock is what tells
--         rescue_jobs.sql that the job runs, and it goes with the session.
-- Params: $1 text the lock's key text, "good_jobs-<id>" (GoodJob's own rule)
SELECT pg_advisory_lock(('x' || substr(md5($1::text), 1, 16))::bit(64)::int8) IS NULL AS held
