-- What:   of batches in which something has ended, which are to be advanced now: one of whose jobs failed for the first time, whose
--         last job has ended, or whose last callback has.
-- Who:    postgres/store.rs, after a flush has been committed. A look from inside the flush's own transaction would not see the last
--         job of another process's flush that is being committed at the same time, nor that one this; of looks after the commit, the
--         later one sees both.
-- Params: one array element per batch: $1 uuid[] the batch   $2 uuid[] a job of it that had not ended at the last look, or NULL
--         $3 bool[] whether a job of it failed
-- Answer: the batch, whether it is to be advanced, and a job of it that has not ended.
-- Index:  primary keys; index_good_jobs_on_batch_id, index_good_jobs_on_batch_callback_id
-- Form:   as long as the job named by $2 has not ended, nothing else is looked at: the cost of a look does not grow with the batch.
--         When it has, the walk for another goes from the youngest row back, which is about the order in which jobs do not end.
--         Tables of an older GoodJob have no jobs_finished_at; the name then means the column of the same name that stands outside.
SELECT batch.id,
       (NOT batch.discarded AND batch.failed)
         OR CASE WHEN batch.jobs_over
                 THEN NOT batch.over
                      AND (SELECT id FROM {jobs} WHERE batch_callback_id = batch.id AND finished_at IS NULL
                           ORDER BY batch_callback_id DESC LIMIT 1) IS NULL
                 ELSE batch.enqueued AND batch.waiting IS NULL END AS ripe,
       batch.waiting
FROM (SELECT NULL::timestamp AS jobs_finished_at) AS absent
CROSS JOIN LATERAL (
  SELECT touched.id, touched.failed, discarded_at IS NOT NULL AS discarded, enqueued_at IS NOT NULL AS enqueued,
         finished_at IS NOT NULL AS over, jobs_finished_at IS NOT NULL OR finished_at IS NOT NULL AS jobs_over,
         CASE WHEN enqueued_at IS NOT NULL AND jobs_finished_at IS NULL AND finished_at IS NULL
              THEN COALESCE(
                (SELECT job.id FROM {jobs} AS job WHERE job.id = touched.witness AND job.batch_id = touched.id AND job.finished_at IS NULL),
                (SELECT job.id FROM {jobs} AS job WHERE job.batch_id = touched.id AND job.finished_at IS NULL
                 ORDER BY job.batch_id DESC LIMIT 1)) END AS waiting
  FROM unnest($1::uuid[], $2::uuid[], $3::bool[]) AS touched (id, witness, failed)
  JOIN {batches} ON {batches}.id = touched.id
  OFFSET 0
) AS batch
