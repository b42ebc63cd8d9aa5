# frozen_string_literal: true

# There is one swing, by whatever name a job that needs it goes.
class SwingJob < RingJob
  include GoodJob::ActiveJobExtensions::Concurrency

  good_job_concurrency_rule(label: "swing", perform_limit: 1)
  self.good_job_labels = ["swing"]

  def perform
    note("in")
    sleep 0.05
    note("out")
  end
end
