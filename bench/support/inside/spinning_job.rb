# frozen_string_literal: true

require_relative "jobs"

module Bench
  module Inside
    # Calculates, so that it needs Ruby's lock and a processor all the time.
    class SpinningJob < NoopJob
      def perform(cpu_ms)
        super()
        enough = cpu_time_ms + cpu_ms
        nil until cpu_time_ms >= enough
      end

      private

      def cpu_time_ms
        Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :float_millisecond)
      end
    end
  end
end
