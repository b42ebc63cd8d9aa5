# frozen_string_literal: true

module Bench
  module Inside
    # Enqueues jobs one by one at even intervals, of several kinds in turn.
    module Trickle
      class << self
        # @param jobs [Array<Array>] the name of a job class of this module, and what perform takes
        # @param queue [String]
        # @return [Array<Array(String, Integer, Integer)>] the job's id, µs when its perform_later was called, and which of jobs it is
        def run(jobs:, count:, interval_ms:, queue: "default")
          kinds = jobs.map { |name, *arguments| [Inside.const_get(name, false).set(queue: queue), arguments] }
          turns = kinds.each_with_index.cycle
          Pace.new(interval_ms).map(count) do
            (kind, arguments), index = turns.next
            called_at = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
            [kind.perform_later(*arguments).job_id, called_at, index]
          end
        end
      end
    end
  end
end
