# frozen_string_literal: true

module Bench
  # Waits until the database says that so many jobs have ended. It looks seldom while there is much to do, so that looking costs little,
  # and often towards the end, so that little is added to the time.
  class Drain
    LOOK_MIN_S = 0.004
    LOOK_MAX_S = 0.5
    FIRST_LOOK_S = 0.05
    # Of what is expected to remain, how much is slept through.
    SLEPT_SHARE = 0.8
    STALL_LIMIT_S = 60

    class Stalled < StandardError; end

    # @yieldreturn [Integer] how many have ended
    def initialize(count, &finished_count)
      @count = count
      @finished_count = finished_count
    end

    # @param started_at [Float] when the worker was started, by the monotonic clock
    # @return [Float] seconds since then
    def wait(started_at)
      sleep FIRST_LOOK_S
      advanced_at = now
      finished = 0
      until (looked = @finished_count.call) >= @count
        advanced_at = now if looked > finished
        finished = looked
        raise Stalled, "#{finished} of #{@count} jobs have ended, and none in the last #{STALL_LIMIT_S} s" if now - advanced_at > STALL_LIMIT_S

        sleep pause(finished, now - started_at)
      end
      now - started_at
    end

    private

    def pause(finished, elapsed_s)
      return LOOK_MIN_S * 5 if finished.zero?

      ((@count - finished) * elapsed_s / finished * SLEPT_SHARE).clamp(LOOK_MIN_S, LOOK_MAX_S)
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
