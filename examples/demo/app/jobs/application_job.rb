# frozen_string_literal: true

class ApplicationJob < ActiveJob::Base
  # Every run says that it took place, and where. The queue itself is not asked.
  before_perform { |job| DemoRun.create!(job_id: job.job_id, attempt: job.executions, process: DemoRun::PROCESS) }
end
