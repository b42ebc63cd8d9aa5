-- What:   gives up the advisory locks of jobs whose leases were given up.
-- Who:    postgres/store.rs, on the session that took them, with the lock strategies :hybrid and :advisory.
-- Params: $1 uuid[] the jobs   $2 text the table's part of the locks' key texts, "good_jobs-"
-- Form:   a lock that was lost with its session is a warning of Postgres' and no error.
SELECT count(pg_advisory_unlock(('x' || substr(md5($2::text || job.id::text), 1, 16))::bit(64)::int8)) AS unlocked
FROM unnest($1::uuid[]) AS job (id)
