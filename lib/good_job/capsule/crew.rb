# frozen_string_literal: true

module GoodJob
  class Capsule
    # The threads of one runtime: a worker for every thread of every pool. One that is killed from outside, or by its job, is replaced.
    class Crew
      # @return [Array<Worker>]
      attr_reader :workers

      # @param runtime [Native::Runtime]
      # @param slots [Slots]
      # @param queues [Array<Hash>] of each pool
      # @param low_priority [Boolean] whether the application's other threads go first
      def initialize(runtime, slots:, queues:, low_priority:)
        @runtime = runtime
        @slots = slots
        @queues = queues
        @low_priority = low_priority
        @on_run_end = Events.teller_of_runs
        @mutex = Mutex.new
        @workers = []
        @pid = ::Process.pid
      end

      # @return [self]
      def start
        @mutex.synchronize do
          @workers = @runtime.pools.each_with_index.flat_map do |pool, index|
            Array.new(pool[:max_threads]) { |number| hire(index, "good_job #{pool[:name]} #{number + 1}") }
          end
        end
        self
      end

      # @param low [Boolean] see {#initialize}
      def low_priority=(low)
        @mutex.synchronize do
          @low_priority = low
          @workers.each { |worker| worker.low_priority = low }
        end
      end

      # Lets long jobs know that they should come to an end. Nobody is replaced any more.
      def shut_down
        @mutex.synchronize { @closing = true }
        @workers.each(&:shut_down)
      end

      # Waits until all threads have ended.
      def join
        @workers.each(&:join)
      end

      # Interrupts the jobs that are running.
      # @return [Array<String>] their ids
      def kill
        @workers.select(&:alive?).map { |worker| worker.job_id.tap { worker.kill } }.compact
      end

      # @param seconds [Numeric]
      # @return [Boolean] whether all threads wait for jobs, and have for so long
      def idle?(seconds)
        since = workers.map(&:idle_since)
        since.all? && ::Process.clock_gettime(::Process::CLOCK_MONOTONIC) - since.max >= seconds
      end

      private

      def hire(pool_index, name)
        Worker.new(runtime: @runtime, slots: @slots, queues: @queues.fetch(pool_index), pool_index: pool_index, name: name,
                   low_priority: @low_priority, on_end: method(:replace), on_run_end: @on_run_end).start
      end

      # A worker whose job forked, and went on in the child, ends there with the job.
      def replace(worker)
        return if @pid != ::Process.pid

        @mutex.synchronize do
          @workers = @workers - [worker] + [hire(worker.pool_index, worker.name)] unless @closing
        end
      end
    end
  end
end
