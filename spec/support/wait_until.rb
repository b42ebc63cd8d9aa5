# frozen_string_literal: true

# Waits for something another thread or process does; the one place in the specs that sleeps.
module WaitUntil
  class LimitReached < StandardError; end

  # @return the block's first truthy value
  # @raise [LimitReached] after `limit_seconds`, naming what was waited for
  def wait_until(what = "the condition", limit_seconds: 15)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + limit_seconds
    loop do
      value = yield
      return value if value
      raise LimitReached, "waited #{limit_seconds} s for #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

      sleep 0.01
    end
  end
end
