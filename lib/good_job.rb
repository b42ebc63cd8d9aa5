# frozen_string_literal: true

require "logger"
require "securerandom"
require "set"
require "active_job"
require "active_record"
require "active_support/core_ext/module/attribute_accessors"
require "active_support/core_ext/module/attribute_accessors_per_thread"
require "active_support/core_ext/object/blank"
require "active_support/core_ext/string/filters"
require "active_support/core_ext/string/inflections"
require "active_support/deprecation"
require "active_support/tagged_logging"

require "good_job/version"
require "good_job/errors"
require "good_job/native"
require "good_job/configuration"
require "good_job/records"
require "good_job/database"
require "good_job/statements"
require "good_job/job_row"
require "good_job/current_thread"
require "good_job/enqueuer"
require "good_job/outcome"
require "good_job/preservation"
require "good_job/run"
require "good_job/events"
require "good_job/log_subscriber"
require "good_job/runtime_events"
require "good_job/active_job_extensions"
require "good_job/bulk"
require "good_job/bound_enqueue"
require "good_job/limits"
require "good_job/slots"
require "good_job/relay"
require "good_job/active_job_extensions/interrupt_errors"
require "good_job/inline"
require "good_job/execution_result"
require "good_job/performer"
require "good_job/cleanup"
require "good_job/batch"
require "good_job/operations"
require "good_job/worker"
require "good_job/cron_entry"
require "good_job/cron"
require "good_job/capsule"
require "good_job/async"
require "good_job/web_server"
require "good_job/adapter"
require "good_job/systemd"
require "good_job/probe_server"
require "good_job/process_fork"
require "active_job/queue_adapters/good_job_adapter"

# Active Job's backend on Postgres: the settings that are not `config.good_job`, and what an application may ask of its process.
module GoodJob
  # Stands for an argument that was not given, where nil means something.
  NONE = Object.new.freeze
  GEM_VERSION = Gem::Version.new(VERSION)
  DEFAULT_LOGGER = ActiveSupport::TaggedLogging.new(Logger.new($stdout))

  @logger = DEFAULT_LOGGER
  @preserve_job_records = true
  @retry_on_unhandled_error = false
  @handled_exceptions = [StandardError, NotImplementedError]

  class << self
    # @return [String, nil] the class that GoodJob's models inherit from; nil: ActiveRecord::Base
    attr_accessor :active_record_parent_class
    # @return [Boolean] whether a job that failed unhandled runs again, at once and without end
    attr_accessor :retry_on_unhandled_error
    # @return [#call, nil] told every error that happens outside of a job's own handling
    attr_accessor :on_thread_error
    # @return [Array<Class, String>] what a job may raise; anything else counts as an interruption of its process
    attr_accessor :handled_exceptions
    # @return [Proc, nil] see {.configure_active_record}
    attr_reader :active_record_configuration
    # @return [Logger]
    attr_reader :logger
    # @return [Boolean, nil, :on_unhandled_error, #call] whether the rows of jobs that ended are kept; a callable is given
    #   (active_job, error, error_event)
    attr_accessor :preserve_job_records
    attr_writer :configuration, :capsule

    def logger=(logger)
      @logger = logger
      LogSubscriber.reset_logger
    end

    # @return [Configuration] final once the application has been initialized
    # @raise [ArgumentError] a setting is wrong
    def configuration
      return @configuration if @configuration

      configuration = Configuration.new
      application_booting? ? configuration : @configuration = configuration
    end

    # @return [Capsule] what runs jobs in this process, if anything does
    def capsule
      @capsule ||= Capsule.new
    end

    # Configures the models' base class, for instance with `connects_to`.
    # @yield in the class, whenever it has been loaded
    def configure_active_record(&block)
      @active_record_configuration = block
    end

    # @return [Array<Class>] {.handled_exceptions}, names resolved
    def handled_exception_classes
      handled_exceptions.map { |exception| exception.is_a?(Class) ? exception : exception.to_s.constantize }
    end

    # Ends everything that runs jobs in this process.
    # @param timeout [Numeric, nil] seconds, see {Capsule#shutdown}
    def shutdown(timeout: -1)
      Capsule.instances.map { |capsule| Thread.new { capsule.shutdown(timeout: timeout) } }.each(&:join)
    end

    # @return [Boolean] whether nothing runs jobs in this process any more
    def shutdown?
      Capsule.instances.all?(&:shutdown?)
    end

    # Shuts down and starts again; only in a web server in mode :async.
    # @param timeout [Numeric] seconds for the jobs that are running
    def restart(timeout: -1)
      return unless configuration.execution_mode == :async && WebServer.serving?

      Capsule.instances.each { |capsule| capsule.restart(timeout: timeout) }
    end

    # Runs due jobs in this thread, until there are none.
    # @param queue_string [String, nil] as in `config.good_job.queues`, one pool; nil: all queues
    # @param limit [Integer, nil] at most so many
    # @return [Integer] how many were run
    # @raise [Exception] what a job did not handle
    def perform_inline(queue_string = "*", limit: nil)
      Inline.new.perform_due(queue_string, limit: limit)
    end

    # Lets workers with enable_pauses leave jobs where they are: of a queue, of a class, or with a label.
    # @raise [ArgumentError] not exactly one of them
    def pause(queue: nil, job_class: nil, label: nil)
      Setting.pause(queue: queue, job_class: job_class, label: label)
    end

    # The reverse of {.pause}.
    # @raise [ArgumentError] not exactly one of them
    def unpause(queue: nil, job_class: nil, label: nil)
      Setting.unpause(queue: queue, job_class: job_class, label: label)
    end

    # @return [Boolean] whether this is paused; without arguments, whether anything is
    # @raise [ArgumentError] more than one of them
    def paused?(queue: nil, job_class: nil, label: nil)
      Setting.paused?(queue: queue, job_class: job_class, label: label)
    end

    # @param type [String, Symbol, nil] "queues", "job_classes" or "labels"
    # @return [Hash{Symbol => Array<String>}, Array<String>] what is paused, of all types or of one
    def paused(type = nil)
      Setting.paused(type)
    end

    # Deletes jobs and batches that ended long ago.
    # @param older_than [Numeric, ActiveSupport::Duration, nil] seconds; nil: cleanup_preserved_jobs_before_seconds_ago
    # @param in_batches_of [Integer] rows of one statement
    # @param include_discarded [Boolean] by default cleanup_discarded_jobs
    # @return [Integer] how many rows: batches, executions and jobs
    def cleanup_preserved_jobs(older_than: nil, in_batches_of: 1_000, include_discarded: configuration.cleanup_discarded_jobs)
      older_than ||= configuration.cleanup_preserved_jobs_before_seconds_ago
      Cleanup.new(older_than: older_than, in_batches_of: in_batches_of, include_discarded: include_discarded).run
    end

    # @return [Boolean] whether this is the `good_job` executable
    def cli?
      defined?(CLI) && CLI.within_exe ? true : false
    end

    # @return [Boolean] whether the database has the tables and columns that this version needs
    def migrated?
      Job.table_exists? && (%w[locked_at lock_type] - Job.column_names).empty?
    end

    # @deprecated it has been, for long
    def v4_ready?
      deprecator.warn("GoodJob.v4_ready? is true, and will be removed.")
      true
    end

    # @return [ActiveSupport::Deprecation]
    def deprecator
      @deprecator ||= ActiveSupport::Deprecation.new("2.0", "GoodJob")
    end

    # @return [Boolean] false inside a job whose process is shutting down; true everywhere else
    def current_thread_running?
      !current_thread_shutting_down?
    end

    # @return [Boolean, nil] inside a job, whether its process is shutting down; nil elsewhere
    def current_thread_shutting_down?
      Worker.current&.shutting_down?
    end

    # @return [Boolean] whether the application has been initialized, so that jobs may be run
    def async_ready?
      Async.ready?
    end

    # Tells the log and {.on_thread_error} of an error.
    def report_error(error)
      LogSubscriber.log(:error, "GoodJob errored: #{Outcome.error_text(error)}\n#{Array(error.backtrace).join("\n")}")
      on_thread_error&.call(error)
    rescue StandardError => e
      LogSubscriber.log(:error, "GoodJob.on_thread_error errored: #{Outcome.error_text(e)}")
    end

    # Runs application code outside of a job.
    def within_executor(&block)
      application? ? ::Rails.application.executor.wrap(&block) : block.call
    end

    private

    def application?
      defined?(::Rails.application) && ::Rails.application ? true : false
    end

    def application_booting?
      application? && !async_ready?
    end
  end

  Events.listen_to_active_job
  ActiveSupport.on_load(:active_job) do
    singleton_class.prepend(Run::NotesJob)
    BoundEnqueue.prepare(self)
  end
  LogSubscriber.attach_to :good_job
  ActiveSupport.run_load_hooks(:good_job, self)
end

require "good_job/railtie"
