-- What:   takes the advisory locks of jobs that this process holds and whose locks were lost with a session.
-- Who:    postgres/store.rs, on a new session, with the lock strategies :hybrid and :advisory.
-- Params: $1 uuid[] the jobs   $2 text the table's part of the locks' key texts, "good_jobs-"
-- Answer: how many locks somebody else has.
-- Form:   a session lock can be taken repeatedly, and must then be given up as often: those of claims that were made on this session
--         already are left as they are. CASE, since of two
--         conditions Postgres may look at the cheaper one first. One that somebody else has taken meanwhile is theirs, as long
--         as they have it: the lease says whose the job is.
WITH held AS MATERIALIZED (
  SELECT (classid::int8 << 32 | objid::int8) AS key
  FROM pg_locks
  WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid = 1 AND granted
),
wanted AS MATERIALIZED (
  SELECT ('x' || substr(md5($2::text || job.id::text), 1, 16))::bit(64)::int8 AS key FROM unnest($1::uuid[]) AS job (id)
)
SELECT count(*) FILTER (WHERE CASE WHEN key NOT IN (SELECT key FROM held) THEN NOT pg_try_advisory_lock(key) ELSE FALSE END) AS missing
FROM wanted
