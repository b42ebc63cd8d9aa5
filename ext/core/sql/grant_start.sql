-- What:   notes that a job which is held may start now, for others that count the starts of a throttle.
-- Who:    limits.rb, on the application's connection, while it holds the throttle's lock.
-- Params: $1 uuid job   $2 text the time zone of the columns
-- Index:  primary key
-- Form:   after locked_at, and so unlike what a claim stamps: a claim that has not been let in does not count.
UPDATE {jobs} SET performed_at = GREATEST(timezone($2::text, clock_timestamp()), locked_at + interval '1 microsecond') WHERE id = $1::uuid
