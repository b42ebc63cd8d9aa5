# frozen_string_literal: true

module Bench
  module Inside
    # The most that threads can do with sleeping jobs: they execute payloads in a loop, without a queue. A thread does not wake up the
    # moment it should, and needs Ruby's lock then.
    module ThreadCeiling
      class << self
        # @param durations_ms [Array<Integer>] of the jobs, in turn
        # @return [Float] the part of the threads' time that the jobs should have taken
        def measure(durations_ms:, threads:, seconds:)
          payloads = durations_ms.map { |ms| [ms, JSON.generate(SleepingJob.new(ms).serialize)] }
          Array.new(threads) { Thread.new { run(payloads, seconds) } }.sum(&:value) / threads
        ensure
          NoopJob::RUNS.clear
        end

        private

        # Rounds are finished, so that none stops after the short ones.
        # @return [Float] of this thread's time
        def run(payloads, seconds)
          started = now
          slept_ms = 0
          slept_ms += payloads.sum { |ms, payload| execute(payload) && ms } while now < started + seconds
          slept_ms / 1000.0 / (now - started)
        end

        def execute(payload)
          ActiveJob::Base.execute(JSON.parse(payload))
          true
        end

        def now
          Process.clock_gettime(Process::CLOCK_MONOTONIC)
        end
      end
    end
  end
end
