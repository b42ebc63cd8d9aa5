# frozen_string_literal: true

# Runs until its latch is opened, and uses no database.
class OfflineJob < ActiveJob::Base
  def perform(latch)
    Latch.new(latch).note("started")
    Latch.new(latch).wait
    Latch.new(latch).note("finished")
  end
end
