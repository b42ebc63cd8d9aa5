# frozen_string_literal: true

require "good_job/inline/attempt"
require "good_job/inline/job_lock"

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

      # @param adapter [Object] of Active Job's
      # @return [Boolean] whether its jobs run where they are enqueued, by this
      def adapter?(adapter)
        adapter.is_a?(Adapter) && adapter.execute_inline?
      end

      # Jobs that the block enqueues run after it, in order: what the block writes must be committed first. If one of them raises, the
      # others stay in the queue. A worker may run some.
      def deferring(&block)
        return yield if deferred

        result, job_ids = collecting(&block)
        job_ids.each { |job_id| new.perform_enqueued(job_id) }
        result
      end

      # Enqueues one item after the other, whose jobs may run at once. If that ends before the last, be it by an error, a throw or the end of
      # the thread, the jobs of those that are left stay in the queue.
      # @param items [Enumerable]
      # @yield [item] enqueues
      # @return [Array] what the block returns
      def each_in_turn(items, &block)
        left = items.to_a.dup
        results = []
        results << block.call(left.shift) until left.empty?
        results
      ensure
        leave(left, &block)
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

      # The error that matters is on its way already. A transaction of the application's that it has aborted stores nothing.
      def leave(items, &block)
        items.each do |item|
          collecting { block.call(item) }
        rescue ActiveRecord::StatementInvalid
          next
        rescue StandardError => e
          GoodJob.report_error(e)
        end
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

      JobLock.new.around(row.id) do
        return false unless enqueuer.insert(job, row, locked_by_id: @process_id)

        perform_until_done(Attempt.new(claim_of(row), @process_id))
      end
      true
    end

    # Runs a job that waits in the queue, and again as long as it retries itself at once. Nothing happens if somebody else has it.
    # @raise [Exception] what the job did not handle
    def perform_enqueued(job_id)
      with_next(job_id: job_id) { |attempt| perform_until_done(attempt) }
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
      count += 1 while (limit.nil? || count < limit) && with_next(queues: queues, paused: paused) { |attempt| perform(attempt) }
      count
    end

    private

    def selection(queue_string)
      pools = Native.parse_queues(queue_string.to_s)
      raise ArgumentError, "GoodJob: #{queue_string.inspect} has #{pools.size} pools; one thread is one pool, so name one." if pools.size > 1

      pools.first.fetch(:queues)
    end

    # @yieldparam attempt [Attempt] of a job that is claimed
    # @return [Boolean] whether there was one
    def with_next(**search)
      lock = JobLock.new
      lock.around_claim(-> { next_attempt(lock: lock, **search) }) do |attempt|
        yield attempt
        true
      end || false
    end

    # What the job's lock keeps from others stays so from one attempt to the next.
    def perform_until_done(attempt)
      attempt = next_attempt(job_id: attempt.run.job_id) while attempt && perform(attempt)
    end

    # @return [Boolean] whether the job is due again
    def perform(attempt)
      attempt.perform
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

    # @param lock [JobLock, nil] whether to take the job's advisory lock, and to pass over jobs whose lock somebody else has; nil: it is had
    # @return [Attempt, nil] of a job that is claimed now; nil: there is none
    def next_attempt(job_id: nil, queues: ANY_QUEUE, paused: NOTHING_PAUSED, lock: nil)
      include, exclude = queues.values_at(:include, :exclude).map { |names| Statements.array(names) }
      now = Time.current
      binds = [@process_id, now, job_id, include, exclude, queues[:ordered_queues] || false]
      binds.concat(paused.map { |names| Statements.array(names) })
      binds.push(lock && JobLock.key(nil))
      row = Statements.run("claim_inline", binds, lock&.connection).first
      row && Attempt.new(Attempt.claim(row, locked_at: now), @process_id)
    end
  end
end
