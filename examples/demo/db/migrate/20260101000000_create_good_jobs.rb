# frozen_string_literal: true

# Written by good_job_rs 0.1.0. On PostgreSQL 12 and earlier, enable_extension "pgcrypto" in a migration before this one.
class CreateGoodJobs < ActiveRecord::Migration[6.1]
  def up
    # The queue's tables: names, columns, their order, types and nullability are those of GoodJob 4, so that either gem runs on the
    # other's tables. Only the set of indexes is our own, and smaller: every enqueue, claim and completion pays for each of them.
    # Everything here is written into schema.rb and read back; of the storage parameter this gem sees to that.
    # A job, from its enqueueing until it is cleaned up. Claims take whole pages of neighbours at once: where each row has room for its next
    # version on its own page, claim and finish write only what changes, and the table does not even grow for it (docs/adr/014).
    execute <<~SQL
      CREATE TABLE #{table(:good_jobs)} (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        queue_name text,
        priority integer,
        serialized_params jsonb,
        scheduled_at timestamp(6),
        performed_at timestamp(6),
        finished_at timestamp(6),
        error text,
        created_at timestamp(6) NOT NULL,
        updated_at timestamp(6) NOT NULL,
        active_job_id uuid,
        concurrency_key text,
        cron_key text,
        retried_good_job_id uuid,
        cron_at timestamp(6),
        batch_id uuid,
        batch_callback_id uuid,
        is_discrete boolean,
        executions_count integer,
        job_class text,
        error_event smallint,
        labels text[],
        locked_by_id uuid,
        locked_at timestamp(6),
        lock_type smallint
      ) WITH (fillfactor = 50);
    SQL

    # A group of jobs with callbacks.
    execute <<~SQL
      CREATE TABLE #{table(:good_job_batches)} (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        created_at timestamp(6) NOT NULL,
        updated_at timestamp(6) NOT NULL,
        description text,
        serialized_properties jsonb,
        on_finish text,
        on_success text,
        on_discard text,
        callback_queue_name text,
        callback_priority integer,
        enqueued_at timestamp(6),
        discarded_at timestamp(6),
        finished_at timestamp(6),
        jobs_finished_at timestamp(6)
      );
    SQL

    # One attempt at a job; created_at is when it began.
    execute <<~SQL
      CREATE TABLE #{table(:good_job_executions)} (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        created_at timestamp(6) NOT NULL,
        updated_at timestamp(6) NOT NULL,
        active_job_id uuid NOT NULL,
        job_class text,
        queue_name text,
        serialized_params jsonb,
        scheduled_at timestamp(6),
        finished_at timestamp(6),
        error text,
        error_event smallint,
        error_backtrace text[],
        process_id uuid,
        duration interval
      );
    SQL

    # A process that runs jobs; updated_at is its heartbeat.
    execute <<~SQL
      CREATE TABLE #{table(:good_job_processes)} (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        created_at timestamp(6) NOT NULL,
        updated_at timestamp(6) NOT NULL,
        state jsonb,
        lock_type smallint
      );
    SQL

    # What operators change at run time: paused queues, disabled cron entries.
    execute <<~SQL
      CREATE TABLE #{table(:good_job_settings)} (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        created_at timestamp(6) NOT NULL,
        updated_at timestamp(6) NOT NULL,
        key text,
        value jsonb
      );
    SQL

    # claim_jobs.sql and next_due.sql walk this in order, one probe for each distinct priority.
    execute <<~SQL
      CREATE INDEX index_good_jobs_for_claim ON #{table(:good_jobs)} (priority, scheduled_at, id)
        WHERE finished_at IS NULL AND locked_by_id IS NULL;
    SQL

    # claim_jobs_by_queue.sql: a pool that names its queues never reads the ready jobs of the others.
    execute <<~SQL
      CREATE INDEX index_good_jobs_for_claim_by_queue ON #{table(:good_jobs)} (queue_name, priority, scheduled_at, id)
        WHERE finished_at IS NULL AND locked_by_id IS NULL;
    SQL

    # rescue_jobs.sql finds what a dead process held.
    execute <<~SQL
      CREATE INDEX index_good_jobs_on_locked_by_id ON #{table(:good_jobs)} (locked_by_id)
        WHERE locked_by_id IS NOT NULL;
    SQL

    # Cleaning deletes finished jobs, the oldest first.
    execute <<~SQL
      CREATE INDEX index_good_jobs_on_finished_at ON #{table(:good_jobs)} (finished_at)
        WHERE finished_at IS NOT NULL;
    SQL

    # insert_job.sql for a cron entry: of all hosts that enqueue the same tick, one succeeds.
    execute <<~SQL
      CREATE UNIQUE INDEX index_good_jobs_on_cron_key_and_cron_at_cond ON #{table(:good_jobs)} (cron_key, cron_at)
        WHERE cron_key IS NOT NULL;
    SQL

    # Concurrency limits count what is queued or running under a key, and take what waits for it in order (fetch_parked_by_key.sql).
    execute <<~SQL
      CREATE INDEX index_good_jobs_on_concurrency_key_when_unfinished ON #{table(:good_jobs)} (concurrency_key, scheduled_at)
        WHERE finished_at IS NULL AND concurrency_key IS NOT NULL;
    SQL

    # Throttles count what was enqueued under a key since a time, finished or not.
    execute <<~SQL
      CREATE INDEX index_good_jobs_on_concurrency_key_and_created_at ON #{table(:good_jobs)} (concurrency_key, created_at)
        WHERE concurrency_key IS NOT NULL;
    SQL

    # GoodJob::Batch#jobs, and whether a finished job was the last of its batch.
    execute <<~SQL
      CREATE INDEX index_good_jobs_on_batch_id ON #{table(:good_jobs)} (batch_id)
        WHERE batch_id IS NOT NULL;
    SQL

    # GoodJob::Batch#callback_jobs.
    execute <<~SQL
      CREATE INDEX index_good_jobs_on_batch_callback_id ON #{table(:good_jobs)} (batch_callback_id)
        WHERE batch_callback_id IS NOT NULL;
    SQL

    # GoodJob::Job.labeled: labels && array.
    execute <<~SQL
      CREATE INDEX index_good_jobs_on_labels ON #{table(:good_jobs)} USING gin (labels)
        WHERE labels IS NOT NULL;
    SQL

    # A job's attempts in order, for GoodJob::Job#executions and for their deletion with the job.
    execute <<~SQL
      CREATE INDEX index_good_job_executions_on_active_job_id_and_created_at ON #{table(:good_job_executions)} (active_job_id, created_at);
    SQL

    # One value a key.
    execute <<~SQL
      CREATE UNIQUE INDEX index_good_job_settings_on_key ON #{table(:good_job_settings)} (key);
    SQL
  end

  def down
    execute <<~SQL
      DROP TABLE #{table(:good_jobs)}, #{table(:good_job_batches)}, #{table(:good_job_executions)}, #{table(:good_job_processes)}, #{table(:good_job_settings)};
    SQL
  end

  private

  def table(name)
    connection.quote_table_name(proper_table_name(name.to_s, table_name_options))
  end
end
