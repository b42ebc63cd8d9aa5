# frozen_string_literal: true

module GoodJob
  # Writes jobs into the table, on the application's connection and in its transaction. What wakes the workers is part of the same
  # statement: the commit delivers it, a rollback drops it.
  class Enqueuer
    ROWS_MAX = 1_000

    # @param announce [Boolean] whether workers are listening (enable_listen_notify)
    def initialize(announce:)
      @announce = announce
    end

    # @param locked_by_id [String, nil] the process that runs the job at once, which is then inserted as claimed by it
    # @return [Boolean] false when this tick of a cron entry has been enqueued by somebody else
    def insert(job, row, locked_by_id: nil)
      inserted = !Statements.run("insert_job", binds(row, locked_by_id)).rows.empty?
      inserted ? accept(job, row) : halt(job)
      inserted
    end

    # @param rows [Array<JobRow>] in the order of jobs
    # @return [Integer] how many were inserted
    def insert_all(jobs, rows)
      jobs.each_slice(ROWS_MAX).zip(rows.each_slice(ROWS_MAX)).sum { |slice, slice_rows| insert_slice(slice, slice_rows) }
    end

    private

    def binds(row, locked_by_id)
      origin = row.origin
      [
        row.id, row.queue_name, row.priority, row.serialized_params, Statements.timestamp(row.scheduled_at), now, Database.time_zone,
        row.job_class, row.concurrency_key, Statements.array(row.labels), origin.cron_key, Statements.timestamp(origin.cron_at),
        origin.batch_id, origin.batch_callback_id, announce?(row) && locked_by_id.nil?, locked_by_id
      ]
    end

    def bulk_binds(rows)
      columns = rows.map { |row| bulk_values(row) }.transpose
      [now, Database.time_zone, *columns.map { |values| Statements.array(values) unless values.all?(&:nil?) }]
    end

    # As text: Active Record takes several times as long to make it of a time with a zone.
    def now
      Statements.timestamp(Time.now)
    end

    def bulk_values(row)
      origin = row.origin
      [
        row.id, row.queue_name, row.priority.to_s, row.serialized_params, Statements.timestamp(row.scheduled_at),
        row.job_class, row.concurrency_key, Statements.array(row.labels), origin.cron_key, Statements.timestamp(origin.cron_at),
        origin.batch_id, origin.batch_callback_id, announce?(row).to_s
      ]
    end

    def announce?(row)
      @announce && row.announce?
    end

    def insert_slice(jobs, rows)
      count, ids = Statements.run("insert_jobs", bulk_binds(rows)).rows.first
      inserted = Statements.list(ids)&.to_set
      jobs.zip(rows) { |job, row| inserted.nil? || inserted.include?(row.id) ? accept(job, row) : halt(job) }
      count
    end

    def accept(job, row)
      job.provider_job_id = row.id
      job.successfully_enqueued = true if job.respond_to?(:successfully_enqueued=)
    end

    # As Active Job does when a callback stops an enqueue.
    def halt(job)
      job.send(:halted_callback_hook, :duplicate_cron_key, :good_job)
      false
    end
  end
end
