# frozen_string_literal: true

# There is room for two in the waiting line.
class TicketJob < RingJob
  include GoodJob::ActiveJobExtensions::Concurrency

  good_job_control_concurrency_with(enqueue_limit: 2)

  def perform; end
end
