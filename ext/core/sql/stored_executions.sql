-- What:   which of these runs have been recorded.
-- Who:    postgres/store.rs, after a flush whose answer was lost with its connection: a lease that is gone then means "stored" if
--         the run's execution row is there.
-- Params: $1 uuid[] ids of execution rows
-- Index:  primary key
SELECT id FROM {executions} WHERE id = ANY ($1::uuid[])
