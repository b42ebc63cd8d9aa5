-- What:   tells every process that listens to read anew what is paused.
-- Who:    records/setting.rb, on the application's connection: the commit delivers it.
-- Params: none
SELECT pg_notify('good_job', '{"pauses": true}') IS NULL AS announced
