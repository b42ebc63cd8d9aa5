# frozen_string_literal: true

require "good_job/native"
require "good_job/configuration/option"
require "good_job/configuration/checks"

module GoodJob
  class Configuration
    EXECUTION_MODES = %i[async async_all async_server external inline].freeze
    ASYNC_MODES = %i[async async_all async_server].freeze
    LOCK_STRATEGIES = %i[advisory skiplocked hybrid].freeze

    # Settings of old versions that mean nothing any more; an application may still have them.
    RETIRED = %i[smaller_number_is_higher_priority inline_execution_respects_schedule].freeze

    # The table of settings, written with `option` and `switch`.
    class Table
      include Enumerable

      def initialize(&definitions)
        @options = {}
        instance_eval(&definitions)
        @options.freeze
      end

      def each(&block)
        @options.each_value(&block)
      end

      # @return [Array<Symbol>]
      def names
        @options.keys
      end

      # @return [Array<Option>] those that the command line takes
      def flags
        select(&:flag)
      end

      private

      def option(name, check, default: nil, env: nil, flag: nil, false_is_unset: true)
        @options[name] = Option.new(name: name, check: check, default: default, env: Array(env), flag: flag, false_is_unset: false_is_unset)
      end

      def switch(name, default:, env: nil, flag: nil)
        option name, Checks.boolean, default: default, env: env, flag: flag, false_is_unset: false
      end
    end

    OPTIONS = Table.new do
      option :execution_mode, Checks.one_of(*EXECUTION_MODES),
             env: "GOOD_JOB_EXECUTION_MODE",
             default: ->(context) { context.cli ? :external : { "development" => :async, "test" => :inline }.fetch(context.rails_env, :external) }
      option :queues, Checks.queues,
             env: "GOOD_JOB_QUEUES", default: "*",
             flag: "Pools of queues to work on, as in \"mice,rats:2;elephants:1\" (default: *)"
      option :max_threads, Checks.whole(1..1_000, "a whole number from 1 to 1000"),
             env: %w[GOOD_JOB_MAX_THREADS RAILS_MAX_THREADS], default: 5,
             flag: "Threads of each pool that names no number (default: 5)"
      option :poll_interval, Checks.seconds("a number of seconds, or -1 for no polling"),
             env: "GOOD_JOB_POLL_INTERVAL",
             flag: "Seconds between looks for jobs that nobody announced; -1 for none (default: 10)"
      option :shutdown_timeout, Checks.seconds("a number of seconds: -1 to wait for ever, 0 to interrupt jobs at once"),
             env: "GOOD_JOB_SHUTDOWN_TIMEOUT", default: -1.0,
             flag: "Seconds that running jobs are given at shutdown; -1 for ever (default: -1)"
      switch :prefetch, default: true, env: "GOOD_JOB_PREFETCH"
      option :max_interruptions, Checks.whole(1..2_147_483_647, "a whole number, 1 or more"), env: "GOOD_JOB_MAX_INTERRUPTIONS"
      option :max_cache, Checks.whole(0.., "a whole number, 0 or more"),
             env: "GOOD_JOB_MAX_CACHE", default: 10_000,
             flag: "Accepted, and without effect: the next due time is one query"
      option :idle_timeout, Checks.duration,
             env: "GOOD_JOB_IDLE_TIMEOUT",
             flag: "Exits after so many seconds without a job (default: never)"
      option :queue_select_limit, Checks.whole(1.., "a whole number, 1 or more"),
             env: "GOOD_JOB_QUEUE_SELECT_LIMIT", default: 1000,
             flag: "Accepted, and without effect: claims walk an index"
      option :dequeue_query_sort, Checks.one_of(:created_at, :scheduled_at), default: :scheduled_at
      option :lock_strategy, Checks.one_of(*LOCK_STRATEGIES), env: "GOOD_JOB_LOCK_STRATEGY", default: :skiplocked
      switch :lower_thread_priority, env: "GOOD_JOB_LOWER_THREAD_PRIORITY", default: ->(context) { !context.cli }
      switch :enable_listen_notify, env: "GOOD_JOB_ENABLE_LISTEN_NOTIFY", default: true,
                                    flag: "Whether to announce jobs and to listen for announcements (default: true)"
      switch :enqueue_after_transaction_commit, default: false
      switch :enable_pauses, env: "GOOD_JOB_ENABLE_PAUSES", default: false
      switch :advisory_lock_heartbeat, env: "GOOD_JOB_ADVISORY_LOCK_HEARTBEAT", default: ->(context) { context.development? }

      option :preserve_job_records, Checks.preserve, default: true, false_is_unset: false
      switch :retry_on_unhandled_error, default: false
      option :on_thread_error, Checks.callable("a callable of (exception)")
      option :logger, Checks.logger

      switch :enable_cron, env: "GOOD_JOB_ENABLE_CRON", default: false,
                           flag: "Whether to enqueue the jobs of config.good_job.cron (default: false)"
      option :cron, Checks.cron, env: "GOOD_JOB_CRON", default: {}.freeze
      option :cron_graceful_restart_period, Checks.duration, env: "GOOD_JOB_CRON_GRACEFUL_RESTART_PERIOD"

      switch :cleanup_discarded_jobs, env: "GOOD_JOB_CLEANUP_DISCARDED_JOBS", default: true
      option :cleanup_preserved_jobs_before_seconds_ago, Checks.duration,
             env: "GOOD_JOB_CLEANUP_PRESERVED_JOBS_BEFORE_SECONDS_AGO", default: 1_209_600.0
      option :cleanup_interval_jobs, Checks.interval(1000, "jobs"),
             env: "GOOD_JOB_CLEANUP_INTERVAL_JOBS", default: 1000, false_is_unset: false
      option :cleanup_interval_seconds, Checks.interval(600, "seconds"),
             env: "GOOD_JOB_CLEANUP_INTERVAL_SECONDS", default: 600, false_is_unset: false

      switch :daemonize, default: false, flag: "Runs in the background (default: false)"
      option :pidfile, Checks.path,
             env: "GOOD_JOB_PIDFILE", default: ->(context) { File.join(*context.root, "tmp/pids/good_job.pid") },
             flag: "With --daemonize, the file for the process id (default: tmp/pids/good_job.pid)"
      option :probe_port, Checks.whole(0..65_535, "a port number"),
             env: "GOOD_JOB_PROBE_PORT",
             flag: "Answers HTTP probes on this port: /status, /status/started, /status/connected (default: none)"
      option :probe_handler, Checks.one_of(:webrick),
             env: "GOOD_JOB_PROBE_HANDLER",
             flag: "Serves the probes with \"webrick\", if that is installed (default: by itself)"
      option :probe_app, Checks.callable("a Rack application")
      option :dashboard_default_locale, Checks.text("a locale such as :en"), default: "en"
      switch :dashboard_live_poll_enabled, default: true
    end
  end
end
