# frozen_string_literal: true

require_relative "jobs"

module Bench
  module Inside
    # Waits, as a job does that talks to another machine.
    class SleepingJob < NoopJob
      def perform(duration_ms)
        super()
        sleep duration_ms / 1000.0
      end
    end

    # The same, and its first line takes the time.
    class TimedSleepingJob < LatencyJob
      def perform(duration_ms)
        super()
        sleep duration_ms / 1000.0
      end
    end
  end
end
