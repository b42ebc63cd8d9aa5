-- What:   batches that are to be advanced and that nobody has advanced: a process died between the end of the last job and its look
--         (ripe_batches.sql), or a job ended by other means.
-- Who:    postgres/store.rs, every few seconds in every worker.
-- Params: $1 uuid the batch up to which the last look came, or NULL   $2 int4 how many at most
-- Answer: the batches, in order of their ids.
-- Index:  primary key; index_good_jobs_on_batch_id, index_good_jobs_on_batch_callback_id
-- Form:   the walks begin with the youngest row, as in ripe_batches.sql: of a batch that is not over, that one has hardly ever ended.
SELECT batch.id
FROM (SELECT NULL::timestamp AS jobs_finished_at) AS absent
CROSS JOIN LATERAL (
  SELECT id, jobs_finished_at IS NOT NULL AS jobs_over
  FROM {batches}
  WHERE finished_at IS NULL AND enqueued_at IS NOT NULL AND ($1::uuid IS NULL OR id > $1::uuid)
  ORDER BY id
  OFFSET 0
) AS batch
WHERE CASE WHEN batch.jobs_over
           THEN (SELECT id FROM {jobs} WHERE batch_callback_id = batch.id AND finished_at IS NULL ORDER BY batch_callback_id DESC LIMIT 1) IS NULL
           ELSE (SELECT id FROM {jobs} WHERE batch_id = batch.id AND finished_at IS NULL ORDER BY batch_id DESC LIMIT 1) IS NULL END
LIMIT $2::int4
