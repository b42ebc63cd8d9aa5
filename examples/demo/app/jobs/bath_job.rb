# frozen_string_literal: true

# Two fit into the tub.
class BathJob < RingJob
  include GoodJob::ActiveJobExtensions::Concurrency

  good_job_control_concurrency_with(perform_limit: 2, key: "tub")

  def perform
    note("in")
    sleep 0.1
    note("out")
  end
end
