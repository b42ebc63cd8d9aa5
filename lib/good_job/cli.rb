# frozen_string_literal: true

require "thor"
require "good_job"
require "good_job/command_process"
require "good_job/daemon"

module GoodJob
  # The command `good_job`.
  class CLI < Thor
    ENVIRONMENT = "config/environment.rb"

    class << self
      # @return [Boolean, nil] whether this is the executable, and not the gem inside another process
      attr_accessor :within_exe
      # @return [Boolean, nil] whether the executable writes its log to standard output
      attr_accessor :log_to_stdout

      def exit_on_failure?
        true
      end
    end

    check_unknown_options!
    default_command :start

    desc "start", "Runs jobs until it is told to stop (INT or TERM; a second one stops at once)"
    long_desc <<~TEXT
      Runs the jobs of the Rails application in the current directory.

      INT, TERM: claims no more jobs, waits for those that run, and exits. A second one exits at once.
      TSTP: claims no more jobs, but keeps running. TTIN: prints the backtrace of every thread.

      Every flag is also a setting, config.good_job.max_threads, and an environment variable, GOOD_JOB_MAX_THREADS.
    TEXT
    Configuration::OPTIONS.flags.each do |option|
      # A switch may stand alone, as --enable-cron, or have a value.
      lone = option.switch? ? { lazy_default: "true" } : {}
      method_option option.name, type: :string, banner: option.name.to_s.upcase, desc: option.flag, **lone
    end
    # Loads the application and runs jobs until told to stop.
    def start
      CommandProcess.end_in_any_case
      load_application
      configuration = Configuration.new(options.to_h.transform_keys(&:to_sym))
      Daemon.new(pidfile: configuration.pidfile).daemonize if configuration.daemonize
      exit CommandProcess.new(configuration).run
    rescue Daemon::Refused => e
      raise Thor::Error, "GoodJob cannot start: #{e.message}."
    rescue ArgumentError, DatabaseError => e
      raise Thor::Error, e.message
    end

    desc "cleanup_preserved_jobs", "Deletes jobs that ended long ago"
    long_desc <<~TEXT
      Deletes jobs that ended long ago, with their execution rows, and batches. Workers do the same by themselves, unless
      cleanup_interval_jobs and cleanup_interval_seconds are off.
    TEXT
    method_option :before_seconds_ago, type: :numeric, banner: "SECONDS",
                                       desc: "Of so long ago (default: the setting cleanup_preserved_jobs_before_seconds_ago, 14 days)"
    # Loads the application and cleans up.
    def cleanup_preserved_jobs
      load_application
      count = GoodJob.cleanup_preserved_jobs(older_than: options[:before_seconds_ago])
      puts "GoodJob deleted #{count} rows of jobs and batches that ended long ago."
    rescue ArgumentError => e
      raise Thor::Error, e.message
    end

    no_commands do
      private

      def load_application
        path = File.expand_path(ENVIRONMENT)
        unless File.exist?(path)
          raise Thor::Error, "GoodJob: there is no #{ENVIRONMENT} in #{Dir.pwd}. Run good_job in the directory of a Rails application."
        end

        # Into a file or a pipe too, lines go when they are written.
        $stdout.sync = true
        require path
        log_to_stdout
      end

      # Unless the application's own logger writes there.
      def log_to_stdout
        return if !self.class.log_to_stdout || ActiveSupport::Logger.logger_outputs_to?(GoodJob.logger, $stdout)

        LogSubscriber.loggers << ActiveSupport::TaggedLogging.new(ActiveSupport::Logger.new($stdout))
      end
    end
  end
end
