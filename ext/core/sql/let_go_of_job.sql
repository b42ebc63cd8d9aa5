-- What:   gives up what hold_job.sql took, on the same session.
-- Who:    inline.rb, performer.rb
-- Params: $1 text the lock's key text
SELECT pg_advisory_unlock(('x' || substr(md5($1::text), 1, 16))::bit(64)::int8) AS released
