-- What:   ends the session that has this process's slots, should the server still have it, and makes this one its successor.
-- Who:    slots.rb, on each new session that the process keeps for this.
-- Params: $1 int8 the process's key, an advisory lock of whichever session has its slots
-- Form:   a session whose client has given it up, because the network or a proxy between went silent, would keep its slots for hours.
--         Whoever waits for the key gets it when that session is gone, and its slots are free. The lock and not the process id of the
--         server tells who it is: behind a pooler, that process may serve somebody else by now.
WITH ended AS MATERIALIZED (
  SELECT count(pg_terminate_backend(pid)) AS sessions
  FROM pg_locks
  WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::int8 << 32 | objid::int8) = $1::int8 AND granted AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT sessions, pg_advisory_lock($1::int8) IS NULL AS taken FROM ended
