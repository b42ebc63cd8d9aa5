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
      puts format("== %-14<name>s %5.1<seconds>f s  %<outcome>s", name: name, outcome: outcome,
                                                                 seconds: Process.clock_gettime(Process::CLOCK_MONOTONIC) - started)
    end
  end
end
