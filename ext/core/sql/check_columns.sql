-- What:   whether the jobs' table has the column lock_type, which tables of an older GoodJob lack.
-- Who:    postgres/store.rs, once per start.
-- Params: $1 text the table, as a quoted identifier
SELECT EXISTS (
  SELECT FROM pg_attribute WHERE attrelid = to_regclass($1::text) AND attname = 'lock_type' AND NOT attisdropped
) AS lock_type
