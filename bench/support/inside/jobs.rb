# frozen_string_literal: true

module Bench
  module Inside
    # Does nothing but leave its id: every process can say which jobs ran in it, whatever the queue says.
    class NoopJob < ActiveJob::Base
      RUNS = [] # rubocop:disable Style/MutableConstant -- the jobs append to it

      def perform
        RUNS << job_id
      end
    end

    # Its first line takes the time.
    class LatencyJob < ActiveJob::Base
      STARTS = [] # rubocop:disable Style/MutableConstant -- the jobs append to it

      def perform
        STARTS << [job_id, Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)]
      end
    end
  end
end
