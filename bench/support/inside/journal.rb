# frozen_string_literal: true

module Bench
  module Inside
    # What runs in this process, written down where not even the end of the process undoes it: a line when a run begins, one when it has
    # ended. Read by {Bench::Journal}.
    module Journal
      class << self
        def open(path:)
          @file = File.open(path, "a")
          nil
        end

        # In one call of the system's, so that no line is half written.
        def note(event, job_id)
          @file.syswrite("#{event} #{job_id} #{Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)}\n")
        end
      end
    end

    # Waits, as a job does that talks to another machine, and says so.
    class JournaledJob < ActiveJob::Base
      def perform(duration_ms)
        Journal.note("began", job_id)
        sleep duration_ms / 1000.0
        Journal.note("ended", job_id)
      end
    end
  end
end
