-- What:   removes this process's row at a clean exit. Its leases were given up before.
-- Who:    postgres/store.rs
-- Params: $1 uuid the process
DELETE FROM {processes} WHERE id = $1::uuid
