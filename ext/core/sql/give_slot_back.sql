-- What:   gives back a slot that take_slot.sql took.
-- Who:    slots.rb, on the same session.
-- Params: $1 text the limit's name   $2 int4 the slot's number
SELECT pg_advisory_unlock(('x' || substr(md5($1::text || ' slot ' || $2::int4), 1, 16))::bit(64)::int8) AS given_back
