# frozen_string_literal: true

module GoodJob
  # Runs jobs in the caller's thread, on the application's connection and by the caller's clock: the mode for tests and consoles.
  class Inline
    ANY_QUEUE = { all: true }.freeze
    NOTHING_PAUSED = [nil, nil, nil].freeze
    DEFERRED = :good_job_deferred_jobs
    private_constant :NOTHING_PAUSED, :DEFERRED

    class << self
      # Never the capsule's: a runtime gives back what is held under its id and that it did not claim itself.
      # @return [String] uuid under which this process holds the jobs that it runs inline
      def process_id
        @process_id = SecureRandom.uuid unless @pid == ::Process.pid
        @pid = ::Process.pid
        @process_id
      end

      # Jobs that the block enqueues run after it, in order: what the block writes must be committed first. If one of them raises, the
      # others stay in the queue.
      def deferring
        return yield if deferred

        begin
          Thread.current[DEFERRED] = []
          result = yield
          job_ids = deferred
        ensure
          Thread.current[DEFERRED] = nil
        end
        job_ids.each { |job_id| new.perform_enqueued(job_id) }
        result
      end

      # @return [Array<String>, nil] ids of the jobs to be run after the block of {.deferring}
      def deferred
        Thread.current[DEFERRED]
      end
    end

    def initialize
      @process_id = self.class.process_id
    end

    # Inserts a due job as claimed, and runs it, and runs it again as long as it retries itself at once.
    # @return [Boolean] whether it was inserted
    # @raise [Exception] what the job did not handle
    def enqueue(enqueuer, job, row)
      return enqueuer.insert(job, row) && self.class.deferred.push(row.id) && true if self.class.deferred

      holding(row.id) do
        return false unless enqueuer.insert(job, row, locked_by_id: @process_id)

        claim = claim_of(row)
        claim = claim_next(job_id: row.id) while claim && perform(claim)
      end
      true
    end

    # Runs a job that waits in the queue, and again as long as it retries itself at once. Nothing happens if somebody else has it.
    # @raise [Exception] what the job did not handle
    def perform_enqueued(job_id)
      holding(job_id) do
        claim = claim_next(job_id: job_id)
        claim = claim_next(job_id: job_id) while claim && perform(claim)
      end
    end

    # Runs what is due, until nothing is.
    # @param queue_string [String] one pool, as in `config.good_job.queues`
    # @param limit [Integer, nil] at most so many runs
    # @return [Integer] how many there were
    # @raise [Exception] what a job did not handle; the jobs after it are not run
    # @raise [ArgumentError] the queue string makes no sense
    def perform_due(queue_string, limit: nil)
      queues = selection(queue_string)
      count = 0
      while (limit.nil? || count < limit) && (claim = claim_next(queues: queues, paused: paused))
        count += 1
        holding(claim[:id]) { perform(claim) }
      end
      count
    end

    private

    def selection(queue_string)
      pools = Native.parse_queues(queue_string)
      raise ArgumentError, "GoodJob: #{queue_string.inspect} has #{pools.size} pools; one thread is one pool, so name one." if pools.size > 1

      pools.first.fetch(:queues)
    end

    # Inside a transaction nobody else sees the claim. Outside, the job's advisory lock says that it runs. The session that took the lock
    # must give it up, and the end of a job may have given the connection back to its pool.
    def holding(job_id)
      connection = Statements.connection
      return yield if connection.transaction_open?

      begin
        key = ["#{Database.tables.fetch(:jobs)}-#{job_id}"]
        Statements.run("hold_job", key, connection)
        yield
      ensure
        Statements.run("let_go_of_job", key, connection) if connection.active?
      end
    end

    # @return [Boolean] whether the job is due again
    def perform(claim)
      run = Run.new(claim)
      started_at = ::Process.clock_gettime(::Process::CLOCK_MONOTONIC, :microsecond)
      begin
        Events.perform_job(run) { run.perform { |params| ActiveJob::Base.execute(params) } }
      ensure
        stored = store(run, ::Process.clock_gettime(::Process::CLOCK_MONOTONIC, :microsecond) - started_at)
        tell_of_discarded(stored)
      end
      LogSubscriber.performed(run.job_id)
      advance_batches(stored)
      raise run.unhandled_error if run.unhandled_error

      stored.any? { |row| row["due"] }
    end

    # Discarded for its interruptions, by the exception that is on its way to the caller: nothing after this will be reached.
    def tell_of_discarded(stored)
      discarded = stored.select { |row| row["discarded"] }
      return if discarded.empty?

      RuntimeEvents.handle({ name: "discarded", job_ids: discarded.map { |row| row["id"] } })
      advance_batches(discarded)
    end

    def advance_batches(stored)
      stored.flat_map { |row| row.values_at("batch_id", "batch_callback_id") }.compact.each { |id| Batch::Progress.advance(id) }
    end

    # An application's transaction that the job's error has aborted stores nothing; the error that matters is the job's.
    def store(run, duration_us)
      Statements.run("finish_inline", finish_binds(run, Native.transition(run.outcome), duration_us)).to_a
    rescue ActiveRecord::StatementInvalid => e
      raise run.unhandled_error || e
    end

    def finish_binds(run, transition, duration_us)
      next_time = transition[:scheduled_at]
      [
        run.job_id, @process_id, Time.current, duration_us, *transition.values_at(:action, :error, :error_event),
        Statements.array(transition[:error_backtrace]), transition[:record_execution],
        transition[:serialized_params], next_time && Time.at(0, next_time, :microsecond), *transition.values_at(:queue_name, :priority),
        Statements.array(transition[:labels]), GoodJob.configuration.max_interruptions
      ]
    end

    # The job as it was inserted, in the form of {Native::Runtime#take}.
    def claim_of(row)
      {
        id: row.id, serialized_params: row.serialized_params, concurrency_key: row.concurrency_key, labels: row.labels,
        queue_name: row.queue_name, job_class: row.job_class, executions_count: 1, interrupted_at: nil, stamped: true
      }
    end

    # @return [Array<Array<String>, nil>] queues, job classes and labels
    def paused
      return NOTHING_PAUSED unless GoodJob.configuration.enable_pauses

      Setting.paused.values_at(:queues, :job_classes, :labels)
    end

    def claim_next(job_id: nil, queues: ANY_QUEUE, paused: NOTHING_PAUSED)
      include, exclude = queues.values_at(:include, :exclude).map { |names| Statements.array(names) }
      binds = [@process_id, Time.current, job_id, include, exclude, queues[:ordered_queues] || false]
      binds.concat(paused.map { |names| Statements.array(names) })
      row = Statements.run("claim_inline", binds).first
      row&.symbolize_keys&.merge(stamped: true, labels: Statements.list(row["labels"]))
    end
  end
end
