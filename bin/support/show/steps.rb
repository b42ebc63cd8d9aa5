# frozen_string_literal: true

module Show
  # Runs steps and says how long each took, in the form of bin/setup.
  class Steps
    # @return what the block returns
    def run(name)
      started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      outcome = "FAILED"
      yield.tap { outcome = "done" }
    ensure
      seconds = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
      puts format("== %-14s %5.1f s  %s", name, seconds, outcome)
    end
  end
end
