# frozen_string_literal: true

# The water does for two a second.
class FountainJob < RingJob
  include GoodJob::ActiveJobExtensions::Concurrency

  good_job_control_concurrency_with(perform_throttle: [2, 1.second])

  def perform; end
end
