# frozen_string_literal: true

class ApplicationJob < ActiveJob::Base
  # Every run says that it took place, and where. The queue itself is not asked.
  before_perform { |job| DemoRun.create!(job_id: job.job_id, attempt: job.executions, process: DemoRun.process) }

  private

  # For the acts: what was seen or done.
  def note(text)
    DemoNote.create!(subject: self.class.name, job_id: job_id, text: text)
  end
end
