# frozen_string_literal: true

require "good_job/inline/attempt"

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
      # others stay in the queue. No worker is told of them; one that finds them by itself may run some.
      def deferring(&block)
        return yield if deferred

        result, job_ids = collecting(&block)
        job_ids.each { |job_id| new.perform_enqueued(job_id) }
        result
      end

      # Enqueues one item after the other, whose jobs may run at once. If one of them raises, the jobs of those after it stay in the queue.
      # @param items [Enumerable]
      # @yield [item] enqueues
      # @return [Array] what the block returns
      def each_in_turn(items, &block)
        left = items.to_a.dup
        results = []
        results << block.call(left.shift) until left.empty?
        results
      rescue Exception # rubocop:disable Lint/RescueException -- on its way to the caller
        leave { left.each(&block) }
        raise
      end

      # @return [Array<String>, nil] ids of the jobs to be run after the block of {.deferring}
      def deferred
        Thread.current[DEFERRED]
      end

      private

      # @return [Array(Object, Array<String>)] what the block returns, and the jobs that it has enqueued
      def collecting
        outer = deferred
        Thread.current[DEFERRED] = []
        [yield, deferred]
      ensure
        Thread.current[DEFERRED] = outer
      end

      # A transaction of the application's that the error has aborted stores nothing; the error that matters is the first.
      def leave(&block)
        collecting(&block)
      rescue ActiveRecord::StatementInvalid
        nil
      end
    end

    def initialize
      @process_id = self.class.process_id
    end

    # Inserts a due job as claimed, and runs it, and runs it again as long as it retries itself at once.
    # @return [Boolean] whether it was inserted
    # @raise [Exception] what the job did not handle
    def enqueue(enqueuer, job, row)
      return enqueuer.insert(job, row, announce: false) && self.class.deferred.push(row.id) && true if self.class.deferred

      holding(row.id) do
        return false unless enqueuer.insert(job, row, locked_by_id: @process_id)

        perform_until_done(claim_of(row))
      end
      true
    end

    # Runs a job that waits in the queue, and again as long as it retries itself at once. Nothing happens if somebody else has it.
    # @raise [Exception] what the job did not handle
    def perform_enqueued(job_id)
      with_next(job_id: job_id) { |claim| perform_until_done(claim) }
    end

    # Runs what is due, until nothing is but what somebody else has.
    # @param queue_string [#to_s] one pool, as in `config.good_job.queues`
    # @param limit [Integer, nil] at most so many runs
    # @return [Integer] how many there were
    # @raise [Exception] what a job did not handle; the jobs after it are not run
    # @raise [ArgumentError] the queue string makes no sense
    def perform_due(queue_string, limit: nil)
      queues = selection(queue_string)
      count = 0
      count += 1 while (limit.nil? || count < limit) && with_next(queues: queues, paused: paused) { |claim| perform(claim) }
      count
    end

    private

    def selection(queue_string)
      pools = Native.parse_queues(queue_string.to_s)
      raise ArgumentError, "GoodJob: #{queue_string.inspect} has #{pools.size} pools; one thread is one pool, so name one." if pools.size > 1

      pools.first.fetch(:queues)
    end

    # Around a job that is inserted. Inside a transaction nobody else sees it. Outside, its advisory lock says that it runs.
    def holding(job_id)
      connection = Statements.connection
      return yield if connection.transaction_open?

      begin
        Statements.run("hold_job", [lock_key(job_id)], connection)
        yield
      ensure
        let_go(job_id, connection)
      end
    end

    # Around a job that waits. Others see it until the claim is committed, and workers of GoodJob in :advisory after that too: its advisory
    # lock is taken with the claim, for the run; inside a transaction of the caller's until that ends.
    # @yieldparam claim [Hash] see {Native::Runtime#take}
    # @return [Boolean] whether there was a job
    def with_next(**search)
      connection = Statements.connection
      outside_of_transaction = !connection.transaction_open?
      claim = begun = nil
      begin
        # What is raised in this thread meanwhile undoes all of it. The session's lock is there to stay, and so comes last, for a job that is
        # known by then; it never waits, as the transaction has the lock.
        BaseRecord.transaction do
          claim = claim_next(lock: true, on: connection, **search)
          Statements.run("hold_job", [lock_key(claim[:id])], connection) if claim && outside_of_transaction
        end
        return false unless claim

        begun = true
        yield claim
      ensure
        Attempt.new(claim, @process_id).give_back if claim && !begun
        let_go(claim[:id], connection) if claim && outside_of_transaction
      end
      true
    end

    # The session that took the lock must give it up, and the end of a job may have given the connection back to its pool.
    def let_go(job_id, connection)
      Statements.run("let_go_of_job", [lock_key(job_id)], connection) if connection.active?
    end

    def lock_key(job_id)
      "#{Database.tables.fetch(:jobs)}-#{job_id}"
    end

    # What the job's lock keeps from others stays so from one attempt to the next.
    def perform_until_done(claim)
      job_id = claim[:id]
      claim = claim_next(job_id: job_id) while claim && perform(claim)
    end

    # @return [Boolean] whether the job is due again
    def perform(claim)
      attempt = Attempt.new(claim, @process_id).perform
      raise attempt.run.unhandled_error if attempt.run.unhandled_error

      attempt.due?
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

    # @param lock [Boolean] whether to take the job's advisory lock for the transaction, and to pass over jobs whose lock somebody else has
    def claim_next(job_id: nil, queues: ANY_QUEUE, paused: NOTHING_PAUSED, lock: false, on: nil)
      include, exclude = queues.values_at(:include, :exclude).map { |names| Statements.array(names) }
      now = Time.current
      binds = [@process_id, now, job_id, include, exclude, queues[:ordered_queues] || false]
      binds.concat(paused.map { |names| Statements.array(names) })
      binds.push(lock ? lock_key(nil) : nil)
      row = Statements.run("claim_inline", binds, on).first
      row && Attempt.claim(row, locked_at: now)
    end
  end
end
