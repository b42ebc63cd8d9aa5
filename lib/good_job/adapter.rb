# frozen_string_literal: true

module GoodJob
  # Active Job's queue adapter. It enqueues; where the mode says so, it also sees to it that this process runs jobs.
  class Adapter
    INSTANCES = [] # rubocop:disable Style/MutableConstant -- a register
    private_constant :INSTANCES

    # @return [Array<Adapter>] all adapters of this process
    def self.instances
      INSTANCES
    end

    # @param execution_mode [Symbol, nil] instead of the configured one
    # @param _capsule [Capsule, nil] instead of {GoodJob.capsule}
    # @raise [ArgumentError] no such mode
    def initialize(execution_mode: nil, _capsule: nil) # rubocop:disable Lint/UnderscorePrefixedVariableName -- its public name
      @execution_mode = Configuration.new({ execution_mode: execution_mode }, rails: {}, env: {}).execution_mode if execution_mode
      @capsule = _capsule
      INSTANCES << self
      start_async if Async.ready?
    end

    # @param job [ActiveJob::Base]
    # @return [JobRow, false, nil] false when the job was not enqueued because this tick of its cron entry already is; nil: captured
    def enqueue(job)
      enqueue_at(job, nil)
    end

    # @param timestamp [Numeric, nil] seconds since the Unix epoch; nil: at once
    # @return [JobRow, false, nil] nil: a {Bulk} buffer took it
    def enqueue_at(job, timestamp, origin: JobRow::Origin.of(job))
      return nil if captured?(job)

      run = Run.of(job)
      return retry_in_place(run, job, timestamp) if run

      row = JobRow.new(job, scheduled_at: timestamp, origin: origin)
      Events.instrument("enqueue_job.good_job", -> { enqueueing(job, row) }) { enqueue_row(job, row) }
    end

    # @param jobs [Array<ActiveJob::Base>]
    # @return [Integer, nil] how many were enqueued; nil: a {Bulk} buffer took them
    def enqueue_all(jobs)
      return 0 if jobs.empty?
      return nil if captured?(jobs)

      return enqueue_all_inline(jobs) if execute_inline?

      single, many = jobs.partition { |job| Run.of(job) || Limits.at_enqueue?(job) }
      start_async_on_need if many.any?
      single.count { |job| enqueue_limited(job) } + enqueuer.insert_all(many, many.map { |job| JobRow.new(job) })
    end

    # @return [Boolean] whether Active Job shall wait for the commit of an open transaction before it enqueues. Only Rails
    #   7.2 asks; later ones go by the job's class alone.
    def enqueue_after_transaction_commit?
      configuration.enqueue_after_transaction_commit
    end

    # @param _job [ActiveJob::Base, nil] who asks; Rails 8.1 does not say, later ones do
    # @return [Boolean] whether a long job should come to an end (continuations)
    def stopping?(_job = nil)
      GoodJob.current_thread_shutting_down? || false
    end

    # @return [Symbol] one of {Configuration::EXECUTION_MODES}
    def execution_mode
      @execution_mode || configuration.execution_mode
    end

    # @return [Boolean] whether jobs run on threads of this process
    def execute_async?
      execution_mode == :async_all ? !WebServer.preloading? : async_mode? && WebServer.serving?
    end

    # @return [Boolean] whether jobs run on threads of the application's processes, be it this one or not
    def async_mode?
      Configuration::ASYNC_MODES.include?(execution_mode)
    end

    # @return [Boolean] whether jobs run in other processes
    def execute_externally?
      !execute_async? && !execute_inline?
    end

    # @return [Boolean] whether a job runs where it is enqueued
    def execute_inline?
      execution_mode == :inline
    end

    # Starts this process's threads, if the mode says so.
    def start_async
      capsule.start if execute_async?
    end

    def async_started?
      execute_async? && capsule.running?
    end

    # @param timeout [Numeric, nil] see {GoodJob.shutdown}
    def shutdown(timeout: NONE)
      capsule.shutdown(timeout: timeout)
    end

    private

    def capsule
      @capsule || GoodJob.capsule
    end

    def configuration
      capsule.configuration
    end

    def captured?(jobs)
      Bulk.current_buffer && Bulk.capture(jobs, queue_adapter: self)
    end

    # Bulk enqueueing runs no callbacks, and those that keep the limits are none of the application's.
    def enqueue_limited(job)
      return enqueue(job) if Run.of(job) || !Limits.at_enqueue?(job)

      Limits.enqueue(job) { enqueue(job) }
    end

    # Each runs before the next is enqueued, as if by `perform_later`; but one that cannot be serialized is found before any of them runs.
    def enqueue_all_inline(jobs)
      jobs.each { |job| JobRow.new(job) }
      Inline.each_in_turn(jobs) { |job| enqueue_limited(job) }.count(&:itself)
    end

    def enqueue_row(job, row)
      return enqueue_inline(job, row) if execute_inline? && row.due?(Time.current)

      start_async_on_need
      enqueuer.insert(job, row) ? row : false
    end

    def enqueue_inline(job, row)
      Inline.new.enqueue(enqueuer, job, row) ? row : false
    end

    # In a process that was forked from a running one.
    def start_async_on_need
      start_async if Async.ready?
    end

    # Active Job has left the job's own language by now, and would go on in the thread's.
    def retry_in_place(run, job, timestamp)
      locale = job.locale if job.locale && I18n.locale_available?(job.locale)
      row = I18n.with_locale(locale) { JobRow.new(job, scheduled_at: timestamp) }
      job.provider_job_id = row.id
      run.retry_with(row)
      row
    end

    def enqueuer
      @enqueuer ||= Enqueuer.new(announce: configuration.enable_listen_notify)
    end

    def enqueueing(job, row)
      { active_job: job, scheduled_at: row.scheduled_at, create_with_advisory_lock: false, job: row }
    end
  end
end
