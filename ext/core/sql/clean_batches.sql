-- What:   deletes batches that ended before a time: one small step of a cleanup.
-- Who:    postgres/store.rs, by itself now and then; cleanup.rb, when asked.
-- Params: $1 timestamp the time; NULL: $2 ago by the database's clock   $2 int8 µs   $3 int4 how many at most
--         $4 bool whether to delete those of which a job was discarded, too
-- Answer: the batches deleted.
-- Index:  none: batches are few
DELETE FROM {batches} AS batch
USING (
  SELECT id
  FROM {batches}
  WHERE finished_at <= COALESCE($1::timestamp, LOCALTIMESTAMP - $2::int8 * interval '1 microsecond')
    AND ($4::bool OR discarded_at IS NULL)
  LIMIT $3::int4
  FOR UPDATE SKIP LOCKED
) AS old
WHERE batch.id = old.id
RETURNING batch.id
