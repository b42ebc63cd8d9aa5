# frozen_string_literal: true

module Bench
  module Inside
    # Enqueues jobs, as an application does.
    module Enqueuing
      BULK_SLICE = 1_000

      class << self
        # Ready no-op jobs, as fast as can be.
        def bulk(count:)
          Array.new(count) { NoopJob.new }.each_slice(BULK_SLICE) { |slice| enqueue_all(slice) }
          count
        end

        # One {LatencyJob} after the other.
        # @return [Array<Array(String, Integer)>] the job's id, and µs when its perform_later was called
        def steadily(count:, interval_ms:)
          Pace.new(interval_ms).map(count) do
            called_at = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
            [LatencyJob.perform_later.job_id, called_at]
          end
        end

        # Many at once, where the queue can.
        def enqueue_all(jobs)
          adapter = ActiveJob::Base.queue_adapter
          adapter.respond_to?(:enqueue_all) ? adapter.enqueue_all(jobs) : jobs.each(&:enqueue)
        end
      end
    end

    # Calls something at even intervals.
    class Pace
      def initialize(interval_ms)
        @interval_s = interval_ms / 1000.0
      end

      # @return [Array] what the block returned
      def map(count)
        started = now
        Array.new(count) do |index|
          pause = started + (index * @interval_s) - now
          sleep pause if pause.positive?
          yield
        end
      end

      private

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
