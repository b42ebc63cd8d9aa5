# frozen_string_literal: true

# Sleeps as long as it is paused: by its queue, its class or its label.
class DormouseJob < RingJob
  include GoodJob::ActiveJobExtensions::Labels

  def perform
    note("awake")
  end
end
