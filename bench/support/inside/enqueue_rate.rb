# frozen_string_literal: true

require "tempfile"

module Bench
  module Inside
    # How fast, and with how many statements, jobs are enqueued one by one.
    module EnqueueRate
      WARM_UP = 50
      RAW_INSERT = <<~SQL
        INSERT INTO good_jobs (id, active_job_id, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at, job_class)
        VALUES ($1, $1, $2, $3, $4, $5, $5, $5, $6)
      SQL
      # libpq's trace of what the client sent, and of what the server said when it was ready for more: I is "in no transaction".
      SENT_STATEMENT = /\tF\t\d+\t(?:Query|Execute)\b/
      READY = /\tB\t\d+\tReadyForQuery\t I\b/

      class << self
        # What Rails and Postgres do only once is done then.
        def warm_up
          [false, true].each { |transaction| enqueue(count: WARM_UP, transaction: transaction) }
        end

        # @return [Integer] how many jobs there must be by now
        def jobs
          @jobs || 0
        end

        # @return [Float] calls of perform_later per second
        def enqueue(count:, transaction:)
          rate(count, transaction) { NoopJob.perform_later }
        end

        # @return [Float] jobs serialized and inserted per second
        def raw_insert(count:, transaction:)
          connection = raw_connection
          prepare(connection)
          rate(count, transaction) { connection.exec_prepared("raw_insert", raw_parameters(NoopJob.new)) }
        end

        # @return [Array(Integer, Integer)] statements sent and transactions ended by so many calls of perform_later
        def wire_count(count:, transaction:)
          trace = Tempfile.new("trace")
          raw_connection.trace(trace)
          rate(count, transaction) { NoopJob.perform_later }
          raw_connection.untrace
          lines = File.readlines(trace.path)
          [SENT_STATEMENT, READY].map { |pattern| lines.grep(pattern).size }
        ensure
          trace&.close!
        end

        private

        # Uncounted, as are the first calls of perform_later.
        def prepare(connection)
          return if @prepared

          connection.prepare("raw_insert", RAW_INSERT)
          @prepared = true
          rate(WARM_UP, false) { connection.exec_prepared("raw_insert", raw_parameters(NoopJob.new)) }
        end

        # Every call is one job.
        def rate(count, transaction, &call)
          @jobs = jobs + count
          started = now
          within(transaction) { count.times(&call) }
          count / (now - started)
        end

        def within(transaction, &block)
          transaction ? ActiveRecord::Base.transaction(&block) : block.call
        end

        def raw_parameters(job)
          now = Time.now.utc.strftime("%F %T.%6N")
          [job.job_id, job.queue_name, job.priority || 0, ActiveSupport::JSON.encode(job.serialize), now, job.class.name]
        end

        def raw_connection
          ActiveRecord::Base.connection.raw_connection
        end

        def now
          Process.clock_gettime(Process::CLOCK_MONOTONIC)
        end
      end
    end
  end
end
