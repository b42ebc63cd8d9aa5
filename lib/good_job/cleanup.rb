# frozen_string_literal: true

module GoodJob
  # Deletes jobs and batches that ended before a time, with the jobs' execution rows: when asked ({GoodJob.cleanup_preserved_jobs}, the command
  # of that name). The runtime does the same by itself.
  class Cleanup
    ROWS_MAX = 10_000

    # @param older_than [Numeric, ActiveSupport::Duration] seconds since the end
    # @param in_batches_of [Integer] rows of one statement
    # @param include_discarded [Boolean]
    def initialize(older_than:, in_batches_of:, include_discarded:)
      raise ArgumentError, "in_batches_of is #{in_batches_of.inspect}, but must be 1 or more" unless in_batches_of.to_i.positive?

      @older_than = older_than.to_f
      @timestamp = Time.current - @older_than
      @rows = [in_batches_of.to_i, ROWS_MAX].min
      @include_discarded = include_discarded ? true : false
      @counts = { batches: 0, executions: 0, jobs: 0 }
    end

    # @return [Integer] how many rows were deleted
    def run
      payload = { older_than: @older_than, timestamp: @timestamp }
      ActiveSupport::Notifications.instrument("cleanup_preserved_jobs.good_job", payload) do |result|
        clean_jobs && clean_batches
        result.update(Cleanup.destroyed(**@counts))
      end
      @counts.values.sum
    end

    # @return [Hash{Symbol => Integer}] what the notification says of it
    def self.destroyed(batches:, executions:, jobs:)
      {
        destroyed_batches_count: batches, destroyed_executions_count: executions, destroyed_jobs_count: jobs,
        destroyed_records_count: batches + executions + jobs
      }
    end

    private

    # @return [Boolean] false: this process is shutting down, and what is left is left to others
    def clean_jobs
      reached = nil
      loop do
        return false if GoodJob.current_thread_shutting_down?

        step = Statements.run("clean_jobs", [@timestamp, 0, @rows, @include_discarded, reached]).first
        @counts[:jobs] += step["jobs"]
        @counts[:executions] += step["executions"]
        return true if step["seen"] < @rows

        reached = next_start(reached, step)
      end
    end

    # What is deleted is out of the way; what stays must be passed, also if a whole step ended at one time.
    def next_start(start, step)
      return if @include_discarded

      step["jobs"].zero? && step["reached"] == start ? start + Rational(1, 1_000_000) : step["reached"]
    end

    def clean_batches
      loop do
        return false if GoodJob.current_thread_shutting_down?

        deleted = Statements.run("clean_batches", [@timestamp, 0, @rows, @include_discarded]).to_a.size
        @counts[:batches] += deleted
        return true if deleted < @rows
      end
    end
  end
end
