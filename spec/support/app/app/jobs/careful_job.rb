# frozen_string_literal: true

# Runs until its latch is opened, and wants to know when it was cut short: it then runs again.
class CarefulJob < ActiveJob::Base
  include GoodJob::ActiveJobExtensions::InterruptErrors

  retry_on GoodJob::InterruptError, wait: 0, attempts: 5

  def perform(latch)
    SpecRun.record(self, "started")
    Latch.new(latch).wait
    SpecRun.record(self, "finished")
  end
end
