# frozen_string_literal: true

# One run of one job: written by the job itself when it starts.
class DemoRun < ActiveRecord::Base
  # @return [String] this process's part in the demo, and its number
  def self.process
    "#{ENV.fetch("DEMO_PART") { GoodJob.cli? ? "worker" : "web" }} #{Process.pid}"
  end

  # @return [Hash{Array(String, String) => Integer}] runs by process and queue
  def self.by_process_and_queue
    joins("JOIN good_jobs ON good_jobs.id = demo_runs.job_id").group(:process, :queue_name).order(:process, :queue_name).count
  end
end
