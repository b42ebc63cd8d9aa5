# frozen_string_literal: true

require "json"

module GoodJob
  class Capsule
    # What a runtime has to know, from the configuration and from Active Record.
    module Launch
      class << self
        # @return [Hash] the options of {Native::Runtime#initialize}
        # @raise [DatabaseError] the database is not PostgreSQL
        def options(configuration)
          database = Database.new
          {
            connection: database.connection, session: database.session, tables: Database.tables,
            queues: configuration.queues, max_threads: configuration.max_threads, prefetch: configuration.prefetch,
            poll_interval_us: configuration.poll_interval_us, listen: configuration.enable_listen_notify,
            tell_notifications: notifications_wanted?,
            lock_strategy: configuration.lock_strategy.name, max_interruptions: configuration.max_interruptions,
            process_state: JSON.generate(process_state(configuration)),
            cleanup: cleanup(configuration), pauses: configuration.enable_pauses
          }
        end

        private

        # Each costs a switch to a Ruby thread. The gem's own log line is for the level debug.
        def notifications_wanted?
          listeners = ActiveSupport::Notifications.notifier.listeners_for("notifier_notified.good_job")
          listeners.size > 1 || LogSubscriber.loggers.any?(&:debug?)
        end

        # @return [Hash, nil] nil: nothing is deleted by itself
        def cleanup(configuration)
          jobs = configuration.cleanup_interval_jobs
          seconds = configuration.cleanup_interval_seconds
          return unless jobs || seconds

          {
            age_us: (configuration.cleanup_preserved_jobs_before_seconds_ago * 1_000_000).round, discarded: configuration.cleanup_discarded_jobs,
            every_jobs: jobs, every_us: seconds && (seconds * 1_000_000)
          }
        end

        # What the process row says of this process; the runtime adds the pools.
        def process_state(configuration)
          GoodJob::Process.process_state.merge(cron_enabled: configuration.enable_cron && configuration.cron.any?)
        end
      end
    end
  end
end
