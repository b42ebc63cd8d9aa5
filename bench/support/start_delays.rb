# frozen_string_literal: true

module Bench
  # How long after a known time jobs started, by the clock that all processes of a machine share.
  class StartDelays
    # A queue that is so slow is measured too.
    LIMIT_S = 120

    # @param worker [MeasuredProcess] in which {Inside::LatencyJob}s run, and no others than those asked for
    def initialize(worker)
      @worker = worker
    end

    # Waits for the starts.
    # @param times [Hash{String => Integer}] the jobs' ids, and µs from which to count
    # @return [Hash{String => Float}] ms, by the jobs' ids
    # @raise [Incorrect]
    def since(times)
      starts = starts(times.size)
      expect_once_each(starts.map(&:first), times.keys)
      starts.to_h { |job_id, started_at| [job_id, (started_at - times.fetch(job_id)) / 1000.0] }
    end

    private

    def starts(count)
      starts = []
      deadline = now + LIMIT_S
      starts.concat(@worker.call(:Worker, :starts)) until starts.size >= count || now > deadline
      starts
    end

    def expect_once_each(started, enqueued)
      return if started.sort == enqueued.sort

      raise Incorrect, "of #{enqueued.size} jobs #{(enqueued & started).size} have started within #{LIMIT_S} s; there were #{started.size} " \
                       "starts, #{(started - enqueued).size} of them of other jobs"
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
