# frozen_string_literal: true

module Bench
  module Inside
    # The queue's worker in this process, and what ran in it.
    module Worker
      READY_LIMIT_S = 30

      class << self
        # @param options see {GoodJobRs#start}
        # @return [Float] when it was started, by the monotonic clock, which all processes of a machine share
        def start(**options)
          started_at = now
          Inside.queue.start(**options)
          @running = true
          started_at
        end

        # Starts it and waits until it waits for jobs.
        def start_idle(**options)
          deadline = start(**options) + READY_LIMIT_S
          until Inside.queue.ready?
            raise "the worker was not ready within #{READY_LIMIT_S} s" if now > deadline

            sleep 0.01
          end
        end

        def stop
          Inside.queue.stop if @running
          @running = false
        end

        # @return [Hash] how many runs of {NoopJob} there were, and of how many jobs
        def runs
          { runs: NoopJob::RUNS.size, jobs: NoopJob::RUNS.uniq.size }
        end

        # @return [Integer] the runs so far
        def run_count
          NoopJob::RUNS.size
        end

        # @return [Array<Array(Integer, Integer)>] see {LatencyJob}; given once
        def starts
          LatencyJob::STARTS.shift(LatencyJob::STARTS.size)
        end

        private

        def now
          Process.clock_gettime(Process::CLOCK_MONOTONIC)
        end
      end
    end
  end
end
