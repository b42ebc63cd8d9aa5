# frozen_string_literal: true

module Bench
  # Adds jobs at even intervals, from this process, while others are at work.
  class Supply
    # Between two of a steady stream: a longer one would make it a row of bursts, and their backlogs what is measured.
    STREAM_INTERVAL_S = 0.005
    # Between two looks at what still waits.
    LOOK_INTERVAL_S = 0.02

    # @return [Integer] how many it has added
    attr_reader :added

    # @param jobs [ManyJobs]
    def initialize(jobs)
      @jobs = jobs
      @added = 0
    end

    # Adds so many at once.
    def add(count)
      @jobs.ready(count)
      @added += count
    end

    # Adds so many a second, for so long.
    # @return [void]
    def steadily(per_second, seconds)
      before = added
      every(STREAM_INTERVAL_S, ->(elapsed_s) { elapsed_s < seconds }) { |elapsed_s| before + (per_second * elapsed_s).round }
    end

    # Keeps so many waiting.
    # @param going_on [#call] whether to go on, given the seconds since the start
    # @yieldreturn [Integer] how many of those that it has added have ended
    # @return [void]
    def keep(waiting, going_on)
      every(LOOK_INTERVAL_S, going_on) { yield + waiting }
    end

    private

    # @yieldparam elapsed_s [Float]
    # @yieldreturn [Integer] how many should have been added by now
    def every(interval_s, going_on)
      started = now
      turn = 0
      while going_on.call(now - started)
        missing = yield(now - started) - added
        add(missing) if missing.positive?
        # One that took too long is not made up for: what is missing comes with the next.
        turn = [turn + 1, ((now - started) / interval_s).floor].max
        pause = started + (turn * interval_s) - now
        sleep pause if pause.positive?
      end
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
