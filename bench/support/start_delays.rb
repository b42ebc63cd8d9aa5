# frozen_string_literal: true

module Bench
  # How long after a known time jobs started, by the clock that all processes of a machine share.
  class StartDelays
    LIMIT_S = 30

    # @param worker [MeasuredProcess] in which {Inside::LatencyJob}s run, and no others than those asked for
    def initialize(worker)
      @worker = worker
    end

    # Waits for the starts.
    # @param times [Hash{String => Integer}] the jobs' ids, and µs from which to count
    # @return [Hash{String => Float}] ms, by the jobs' ids
    # @raise [Incorrect]
    def since(times)
      starts(times.size).to_h { |job_id, started_at| [job_id, (started_at - times.fetch(job_id) { unexpected }) / 1000.0] }
    end

    private

    def starts(count)
      starts = []
      deadline = now + LIMIT_S
      starts.concat(@worker.call(:Worker, :starts)) until starts.size >= count || now > deadline
      unexpected unless starts.size == count && starts.uniq(&:first).size == count
      starts
    end

    def unexpected
      raise Incorrect, "the jobs that started are not those that were enqueued, once each"
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
