# frozen_string_literal: true

module GoodJob
  # What a job class may include.
  module ActiveJobExtensions
    autoload :Batches, "good_job/active_job_extensions/batches"
    autoload :Concurrency, "good_job/active_job_extensions/concurrency"
    autoload :Labels, "good_job/active_job_extensions/labels"
    autoload :NotifyOptions, "good_job/active_job_extensions/notify_options"
  end
end
