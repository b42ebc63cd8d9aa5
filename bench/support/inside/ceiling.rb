# frozen_string_literal: true

module Bench
  module Inside
    # The most that Ruby can do: one thread that executes one payload in a loop. No queue in one process can run more jobs.
    module Ceiling
      WARM_UP = 500

      # @param payload [String] what Active Job serialized
      # @param calls [Integer]
      # @return [Float] jobs per second
      def self.measure(payload:, calls:)
        run(payload, WARM_UP)
        started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        run(payload, calls)
        calls / (Process.clock_gettime(Process::CLOCK_MONOTONIC) - started)
      ensure
        NoopJob::RUNS.clear
      end

      def self.run(payload, calls)
        calls.times { ActiveJob::Base.execute(JSON.parse(payload)) }
      end
    end
  end
end
