-- What:   tells every process that listens to look whether a batch is to be advanced.
-- Who:    batch.rb, on the application's connection: the commit delivers it. A job that ended before the commit of the change which made
--         its batch complete could not see that change, nor the change the end of that job.
-- Params: $1 text the batch
SELECT pg_notify('good_job', json_build_object('batch_id', $1::text)::text) IS NULL AS announced
