-- What:   takes one of the slots of a limit that is free: an advisory lock of this session.
-- Who:    slots.rb, on a session that the process keeps for this; limits.rb, on the thread's own.
-- Params: $1 text the limit's name   $2 int4 how many slots it has   $3 text those that this session has already, an array literal
--         $4 int4 no other slot than this, or NULL
-- Answer: the slot's number; no row when all are taken.
-- Form:   a session gets a lock that it has any number of times, hence $3. LIMIT ends the series with the first lock that was free.
SELECT slot
FROM generate_series(COALESCE($4::int4, 1), COALESCE($4::int4, $2::int4)) AS slot
WHERE CASE WHEN slot = ANY ($3::text::int4[]) THEN FALSE
           ELSE pg_try_advisory_lock(('x' || substr(md5($1::text || ' slot ' || slot), 1, 16))::bit(64)::int8) END
LIMIT 1
