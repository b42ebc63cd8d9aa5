-- What:   what operators have paused: {"queues": [], "job_classes": [], "labels": []}.
-- Who:    postgres/store.rs, every few seconds and when told to, in workers with enable_pauses.
-- Params: none
-- Answer: the setting as text; no row: nothing has ever been paused.
-- Index:  index_good_job_settings_on_key
SELECT value::text FROM {settings} WHERE key = 'pauses'
