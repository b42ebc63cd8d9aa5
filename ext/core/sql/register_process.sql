-- What:   writes this process's row, or refreshes it (the heartbeat); takes the process's session advisory lock unless it is held.
-- Who:    postgres/store.rs, at start and every few seconds, on the connection that lives as long as the process.
-- Params: $1 uuid the process; $2 text its state (JSON); $3 text the advisory lock's key text, "good_job_processes-<id>"
-- Answer: whether this session holds the lock; the database's clock; how many processes have rows.
-- Form:   one statement for both, so that a row which somebody removed (a rescuer that took us for dead) is there again with the
--         next beat. lock_type 0 tells every reader, upstream's included, that the lock is what says we live.
WITH lock AS MATERIALIZED (
  SELECT ('x' || substr(md5($3::text), 1, 16))::bit(64)::int8 AS key
),
held AS MATERIALIZED (
  SELECT EXISTS (
    SELECT FROM pg_locks, lock
    WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid = 1
      AND (classid::int8 << 32 | objid::int8) = lock.key
  ) AS already
),
taken AS MATERIALIZED (
  SELECT CASE WHEN held.already THEN TRUE ELSE pg_try_advisory_lock(lock.key) END AS ours FROM lock, held
),
written AS (
  INSERT INTO {processes} (id, created_at, updated_at, state, lock_type)
  SELECT $1::uuid, LOCALTIMESTAMP, LOCALTIMESTAMP, $2::text::jsonb, CASE WHEN taken.ours THEN 0 END FROM taken
  ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, state = excluded.state, lock_type = excluded.lock_type
)
SELECT ours, clock_timestamp() AS clock, (SELECT count(*) FROM {processes}) AS processes FROM taken
