# frozen_string_literal: true

module GoodJob
  # What the runtime has to tell, as log lines, notifications and errors for GoodJob.on_thread_error.
  module RuntimeEvents
    class << self
      # @param event [Hash] see {Native::Runtime#next_event}
      def handle(event)
        case event[:name]
        when "ready" then LogSubscriber.log(:debug, "GoodJob runtime is ready as process #{event[:process_id]}.")
        when "unavailable" then unavailable(event)
        when "reconnected" then LogSubscriber.log(:info, "GoodJob is connected to Postgres again (#{event[:connection]}).")
        when "listening" then Events.tell("notifier_listen.good_job", {})
        when "unlistened" then Events.tell("notifier_unlisten.good_job", {})
        when "notified" then Events.tell("notifier_notified.good_job", payload: event[:payload])
        when "cleaned" then cleaned(event)
        when "lost_lease" then lost_lease(event)
        when "rescued" then LogSubscriber.log(:warn, "GoodJob put back the jobs of a process that died: #{event[:job_ids].join(", ")}.")
        when "discarded" then discarded(event)
        when "unblocked" then unblocked(event)
        when "skipped" then LogSubscriber.log(:warn, "GoodJob has more to tell than is read; #{event[:count]} events are not logged.")
        else GoodJob.report_error(RuntimeFault.new(event[:message]))
        end
      end

      private

      # Not an error to report: the runtime keeps trying, and says it once a cause.
      def unavailable(event)
        LogSubscriber.log(:error, "GoodJob cannot run jobs: #{event[:message]}; #{event[:hint]}.")
        Events.tell("notifier_notify_error.good_job", error: DatabaseError.new(event[:message]))
      end

      def discarded(event)
        message = "Discarded jobs that were cut short again and again, up to max_interruptions: #{event[:job_ids].join(", ")}."
        GoodJob.report_error(InterruptionLimitError.new(message))
      end

      def unblocked(event)
        runs = event[:runs].empty? ? "none" : event[:runs].join(", ")
        message = "Ruby did not run for #{event[:blocked_us] / 1_000_000} s, and with it no job of this process: something held its global " \
                  "lock. Under way: #{runs}."
        GoodJob.report_error(BlockedError.new(message))
      end

      def cleaned(event)
        older_than = GoodJob.configuration.cleanup_preserved_jobs_before_seconds_ago
        destroyed = Cleanup.destroyed(**event.slice(:batches, :executions, :jobs))
        Events.tell("cleanup_preserved_jobs.good_job", { older_than: older_than, timestamp: Time.current - older_than, **destroyed })
      end

      def lost_lease(event)
        message = "Job #{event[:job_id]} ended here (#{event[:action]}) after its lease had gone to another process, which took this one " \
                  "for dead. Nothing of this run was stored; the job runs, or has run, a second time."
        GoodJob.report_error(LostLeaseError.new(message))
      end
    end
  end
end
