# frozen_string_literal: true

module ActiveJob
  module QueueAdapters
    # What `config.active_job.queue_adapter = :good_job` means. See {GoodJob::Adapter}.
    class GoodJobAdapter < GoodJob::Adapter
    end
  end
end
