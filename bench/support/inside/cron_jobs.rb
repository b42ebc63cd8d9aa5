# frozen_string_literal: true

module Bench
  module Inside
    # A worker with cron entries that are due every second.
    module CronJobs
      GRACEFUL_PERIOD_S = 30

      class << self
        def start(entries:)
          cron = Array.new(entries) { |number| [:"entry#{number}", { cron: "* * * * * *", class: NoopJob.name }] }.to_h
          configuration = GoodJob::Configuration.new({ max_threads: 2, enable_cron: true, cron: cron, lower_thread_priority: false,
                                                       cron_graceful_restart_period: GRACEFUL_PERIOD_S })
          @capsule = GoodJob::Capsule.new(configuration: configuration)
          @capsule.start
        end
      end
    end
  end
end
