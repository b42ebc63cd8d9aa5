-- What:   which of the queue's tables are missing on this connection's search path.
-- Who:    postgres/store.rs, once per start, to tell the user what to do instead of failing at the first claim.
-- Params: $1 text[] the tables, as quoted identifiers
SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL
