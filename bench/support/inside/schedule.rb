# frozen_string_literal: true

module Bench
  module Inside
    # Enqueues jobs for times to come.
    module Schedule
      # @param lead_ms [Integer] until the first is due
      # @return [Array<Array(String, Integer)>] the job's id, and when it is due, in µs of the monotonic clock
      def self.run(count:, interval_ms:, lead_ms:)
        wall = Time.current
        clock = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
        Array.new(count) do |index|
          ahead_ms = lead_ms + (index * interval_ms)
          [LatencyJob.set(wait_until: wall + (ahead_ms / 1000r)).perform_later.job_id, clock + (ahead_ms * 1000)]
        end
      end
    end
  end
end
