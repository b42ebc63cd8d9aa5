# frozen_string_literal: true

# Runs until its latch is opened.
class LatchedJob < ActiveJob::Base
  def perform(latch)
    SpecRun.record(self, "started")
    Latch.new(latch).wait
    SpecRun.record(self, "finished")
  end
end
