# frozen_string_literal: true

# What has been enqueued, what is done, and who did it.
class StatusController < ActionController::Base
  def show
    @enqueued = GoodJob::Job.group(:queue_name).order(:queue_name).count
    @finished = GoodJob::Job.finished.group(:queue_name).count
    @runs = DemoRun.by_process_and_queue
  end
end
