# frozen_string_literal: true

require "active_support/log_subscriber"

module GoodJob
  # Writes the gem's log lines. Lines of single jobs are written by {.performed}, called directly: a subscription would make every job
  # pay for an event that is not logged.
  class LogSubscriber < ActiveSupport::LogSubscriber
    class << self
      # @return [Array<Logger>] where the lines go; GoodJob.logger, and standard output in the executable
      def loggers
        @loggers ||= [GoodJob.logger]
      end

      # Takes {GoodJob.logger} anew.
      def reset_logger
        @loggers = nil
      end

      def performed(job_id)
        loggers.each do |logger|
          next unless logger.info?

          write(logger, :info, "Executed GoodJob #{job_id}", ::Process.pid, CurrentThread.thread_name)
        end
      end

      # @param level [Symbol] :debug, :info, :warn or :error
      # @param tags [Array] beside "GoodJob"
      def log(level, message, *tags)
        loggers.each { |logger| write(logger, level, message, *tags) if logger.public_send(:"#{level}?") }
      end

      private

      def write(logger, level, message, *tags)
        return logger.public_send(level, message) unless logger.respond_to?(:tagged)

        logger.tagged(*own_tags(logger), *tags.compact) { logger.public_send(level, message) }
      end

      # Active Job's tag comes first when a line is written inside one of its own.
      def own_tags(logger)
        current = logger.formatter.respond_to?(:current_tags) ? logger.formatter.current_tags : []
        current.include?("ActiveJob") ? %w[ActiveJob GoodJob] : ["GoodJob"]
      end
    end

    def scheduler_create_pool(event)
      queues, max_threads = event.payload.values_at(:performer_name, :max_threads)
      line(:info, "GoodJob #{VERSION} started scheduler with queues=#{queues} max_threads=#{max_threads}.", event)
    end

    def cleanup_preserved_jobs(event)
      count, timestamp = event.payload.values_at(:destroyed_records_count, :timestamp)
      line(:info, "GoodJob destroyed #{count} preserved job records finished before #{timestamp}.") if count&.positive?
    end

    def cron_manager_start(event)
      line(:info, "GoodJob started cron with #{event.payload[:cron_entries].size} job(s).")
    end

    def systemd_watchdog_start(event)
      line(:info, "GoodJob tells systemd's watchdog every #{event.payload[:interval]} s that it is alive.")
    end

    def systemd_watchdog_error(event)
      error = event.payload[:error]
      line(:error, "GoodJob cannot tell systemd: #{error.class}: #{error.message}")
    end

    def scheduler_shutdown_start(event)
      timeout = event.payload[:timeout]
      patience =
        case timeout
        when nil, 0 then ""
        when (..0) then " Waiting for running jobs to finish."
        else " Waiting up to #{timeout} seconds for running jobs to finish."
        end
      line(:info, "GoodJob is shutting down.#{patience}", event)
    end

    def scheduler_shutdown(event)
      line(:info, "GoodJob has shut down.", event)
    end

    def scheduler_shutdown_kill(event)
      line(:warn, "GoodJob interrupted the running jobs #{event.payload[:active_job_ids].join(", ")}.", event)
    end

    def scheduler_restart_pools(event)
      line(:info, "GoodJob is restarting.", event)
    end

    def notifier_listen(_event)
      line(:info, "Notifier subscribed with LISTEN")
    end

    def notifier_unlisten(_event)
      line(:info, "Notifier unsubscribed with UNLISTEN")
    end

    def notifier_notified(event)
      line(:debug, "Notifier received payload: #{event.payload[:payload]}")
    end

    def notifier_notify_error(event)
      error = event.payload[:error]
      line(:error, "Notifier errored: #{error.class}: #{error.message}")
    end

    def enqueue_concurrency_limit_exceeded(event)
      line(:info, enqueue_refused(event, "enqueue limit"))
    end

    def enqueue_concurrency_throttle_exceeded(event)
      line(:info, enqueue_refused(event, "throttle limit"))
    end

    # Active Support asks whether there is one at all.
    def logger
      GoodJob.logger
    end

    private

    def enqueue_refused(event, what)
      job, key, limit = event.payload.values_at(:job, :key, :limit)
      "Aborted enqueue of #{job.class.name} (Job ID: #{job.job_id}) because the concurrency key '#{key}' has reached its #{what} of " \
        "#{limit} #{"job".pluralize(limit)}"
    end

    def line(level, message, event = nil)
      tags = event ? event.payload.values_at(:process_id, :thread_name) : []
      self.class.log(level, message, *tags)
    end
  end
end
