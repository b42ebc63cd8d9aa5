# frozen_string_literal: true

module GoodJob
  class Inline
    # One run of a claimed job in the caller's thread, on the application's connection, from its start to its stored outcome.
    class Attempt
      # @param row [Hash{String => Object}] as the claim statements answer
      # @param locked_at [Time, nil] of the claim, where the process may have claimed the job a second time meanwhile
      # @return [Hash] the claim, in the form of {Native::Runtime#take}
      def self.claim(row, locked_at: nil)
        row.symbolize_keys.merge(stamped: true, locked_at: locked_at, labels: Statements.list(row["labels"]))
      end

      # @return [Run]
      attr_reader :run

      # @param claim [Hash] see {Native::Runtime#take}
      # @param process_id [String] uuid under which the job is held
      def initialize(claim, process_id)
        @claim = claim
        @process_id = process_id
        @run = Run.new(claim)
      end

      # Runs the job, stores how that ended, and lets its batches know.
      # @return [self]
      # @raise [Exception] what no job may raise; what is stored then is an interruption
      def perform
        @begun = true
        started_at = now
        begin
          Events.perform_job(@run) { @run.perform { |params| ActiveJob::Base.execute(params) } }
        ensure
          @stored = store(now - started_at)
          tell_of_discarded
        end
        LogSubscriber.performed(@run.job_id)
        report_lost_lease if @stored.empty?
        advance_batches(@stored)
        self
      end

      # @return [Boolean] whether the job was started
      def begun?
        @begun ? true : false
      end

      # @return [Boolean] whether the job is due again
      def due?
        @stored.any? { |row| row["due"] }
      end

      # Gives back a job that was not started: it becomes what it was before the claim.
      def give_back
        begun_before = @run.interrupted_at&.iso8601(6)
        lease = [@run.job_id, Statements.timestamp(@claim[:locked_at])]
        columns = [*lease, begun_before, (@claim[:executions_count] - 1).to_s, "f"]
        Statements.run("release_jobs", [@process_id, *columns.map { |value| Statements.array([value]) }])
      end

      private

      # An application's transaction that the job's error has aborted stores nothing; the error that matters is the job's.
      def store(duration_us)
        Statements.run("finish_inline", finish_binds(Native.transition(@run.outcome), duration_us)).to_a
      rescue ActiveRecord::StatementInvalid => e
        raise @run.unhandled_error || e
      end

      def finish_binds(transition, duration_us)
        next_time = transition[:scheduled_at]
        [
          @run.job_id, @process_id, Time.current, duration_us, *transition.values_at(:action, :error, :error_event),
          Statements.array(transition[:error_backtrace]), transition[:record_execution],
          transition[:serialized_params], next_time && Time.at(0, next_time, :microsecond), *transition.values_at(:queue_name, :priority),
          Statements.array(transition[:labels]), @claim[:locked_at], GoodJob.configuration.max_interruptions
        ]
      end

      def report_lost_lease
        message = "Job #{@run.job_id} ended here after its lease had gone to somebody else. Nothing of this run was stored."
        GoodJob.report_error(LostLeaseError.new(message))
      end

      # Discarded for its interruptions, by the exception that is on its way to the caller: nothing after this will be reached.
      def tell_of_discarded
        discarded = @stored.select { |row| row["discarded"] }
        return if discarded.empty?

        RuntimeEvents.handle({ name: "discarded", job_ids: discarded.map { |row| row["id"] } })
        advance_batches(discarded)
      end

      def advance_batches(stored)
        stored.flat_map { |row| row.values_at("batch_id", "batch_callback_id") }.compact.each { |id| Batch::Progress.advance(id) }
      end

      def now
        ::Process.clock_gettime(::Process::CLOCK_MONOTONIC, :microsecond)
      end
    end
  end
end
