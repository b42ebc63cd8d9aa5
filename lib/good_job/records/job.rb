# frozen_string_literal: true

module GoodJob
  # A row of good_jobs: for looking at jobs, for finding them, and for what an operator does with them. The queue itself builds no models.
  class Job < BaseRecord
    include AdvisoryLockable
    include Filterable
    extend ActiveModel::Callbacks

    DEFAULT_QUEUE_NAME = "default"
    DEFAULT_PRIORITY = 0
    ERROR_MESSAGE_SEPARATOR = ": "
    # The classes of Action Mailer's jobs; their first two arguments are mailer and mail.
    MAIL_CLASSES = %w[ActionMailer::MailDeliveryJob ActionMailer::DeliveryJob ActionMailer::Parameterized::DeliveryJob].freeze

    # A job that has ended was to be performed.
    PreviouslyPerformedError = Class.new(StandardError)
    # The job is in a state in which this cannot be done.
    ActionForStateMismatchError = Class.new(StandardError)
    # The job's class enqueues to another queue now.
    AdapterNotGoodJobError = Class.new(StandardError)
    # Stored for a job that an operator discarded.
    DiscardJobError = Class.new(StandardError)
    # The class of the job, or a record among its arguments, is gone.
    ActiveJobDeserializationError = Class.new(StandardError)

    good_job_table "good_jobs"
    self.implicit_order_column = "created_at"
    self.ignored_columns = %w[retried_good_job_id is_discrete]

    enum_column :error_event, ERROR_EVENTS
    enum_column :lock_type, LOCK_TYPES

    define_model_callbacks :perform
    define_model_callbacks :perform_unlocked, only: :after

    has_many :executions, class_name: "GoodJob::Execution", foreign_key: :active_job_id, primary_key: :active_job_id, inverse_of: :job,
                          dependent: :delete_all
    belongs_to :batch, class_name: "GoodJob::BatchRecord", optional: true, inverse_of: :jobs
    belongs_to :callback_batch, class_name: "GoodJob::BatchRecord", foreign_key: :batch_callback_id, optional: true, inverse_of: :callback_jobs
    belongs_to :locked_by_process, class_name: "GoodJob::Process", foreign_key: :locked_by_id, optional: true, inverse_of: :locked_jobs

    scope :unfinished, -> { where(finished_at: nil) }
    scope :finished, -> { where.not(finished_at: nil) }
    scope :finished_before, ->(time) { where(finished_at: ..time) }
    scope :only_scheduled, -> { where(scheduled_at: ..Time.current) }
    scope :due_later, -> { unfinished.where.not(scheduled_at: ..Time.current) }
    scope :scheduled, -> { due_later.where("#{executions_in_params} < 2") }
    scope :retried, -> { due_later.where("#{executions_in_params} > 1") }
    scope :queued, -> { unfinished.only_scheduled.where(performed_at: nil) }
    scope :running, -> { unfinished.where.not(performed_at: nil) }
    scope :succeeded, -> { finished.where(error: nil) }
    scope :discarded, -> { finished.where.not(error: nil) }
    scope :job_class, ->(name) { where(job_class: name) }
    scope :active_job_id, ->(id) { where(active_job_id: id) }
    scope :labeled, ->(labels) { where("#{quoted_table_name}.labels && ARRAY[?]::text[]", Array(labels)) }
    scope :priority_ordered, -> { order(arel_table[:priority].asc.nulls_last) }
    scope :creation_ordered, -> { order(created_at: :asc) }
    scope :schedule_ordered, -> { order(scheduled_at: :asc) }

    # Jobs of the queues of one pool, as in `config.good_job.queues`.
    scope :queue_string, ->(string) { of_queues(queue_parser(string)) }
    # The same, parsed: see {.queue_parser}.
    scope :of_queues, lambda { |queues|
      next where(queue_name: queues[:include]) if queues[:include]
      next where.not(queue_name: queues[:exclude]).or(where(queue_name: nil)) if queues[:exclude]

      all
    }
    # Queue by queue in this order; then all others.
    scope :queue_ordered, lambda { |queues|
      order(Arel.sql(sanitize_sql_array(["array_position(ARRAY[?]::text[], #{quoted_table_name}.queue_name)", queues])))
    }
    scope :exclude_paused, lambda {
      next all unless GoodJob.configuration.enable_pauses

      queues, job_classes, labels = Setting.paused.values_at(:queues, :job_classes, :labels)
      where("(#{quoted_table_name}.queue_name = ANY (ARRAY[?]::text[])) IS NOT TRUE", queues)
        .where("(#{quoted_table_name}.job_class = ANY (ARRAY[?]::text[])) IS NOT TRUE", job_classes)
        .where("(#{quoted_table_name}.labels && ARRAY[?]::text[]) IS NOT TRUE", labels)
    }
    # The order in which they are claimed.
    # @param parsed [Hash, nil] see {.queue_parser}
    scope :dequeueing_ordered, lambda { |parsed|
      ordered = parsed && parsed[:ordered_queues] && parsed[:include] ? queue_ordered(parsed[:include]) : all
      ordered.priority_ordered.schedule_ordered.order(id: :asc)
    }

    # Those that may be claimed now, in the order in which they are; of the queues of one pool, if that is given.
    # @param parsed [Hash, nil] see {.queue_parser}
    scope :claimable, lambda { |parsed = nil|
      unfinished.only_scheduled.where(locked_by_id: nil).exclude_paused.of_queues(parsed || {}).dequeueing_ordered(parsed)
    }

    class << self
      # @return [Hash{Symbol => nil}] what a job has that no process holds; tables of an older GoodJob have no lock_type
      def unlocked
        { locked_by_id: nil, locked_at: nil, lock_type: nil }.select { |column, _| column_names.include?(column.to_s) }
      end

      # @param string [String, nil] one pool's queues, as in `config.good_job.queues`
      # @return [Hash] `{all: true}`, `{include: [String]}`, `{exclude: [String]}` or `{include: [String], ordered_queues: true}`
      # @raise [ArgumentError] it makes no sense
      def queue_parser(string)
        Configuration.parse_queues(string)
      end

      # Enqueues a job without asking its class how.
      # @return [Job]
      def enqueue(active_job, scheduled_at: nil, create_with_advisory_lock: false)
        job = Operations.enqueue(active_job, scheduled_at)
        job.advisory_lock! if create_with_advisory_lock
        job
      end

      # @param after [Time, nil] nil: now
      # @param limit [Integer] of future times
      # @param now_limit [Integer, nil] of times that have come; nil: none
      # @return [Array<Time>] when jobs are due, those that are first
      def next_scheduled_at(after: nil, limit: 100, now_limit: nil)
        waiting = unfinished.where(locked_by_id: nil)
        due = now_limit ? waiting.only_scheduled.schedule_ordered.limit(now_limit).pluck(:scheduled_at) : []
        due + waiting.where(arel_table[:scheduled_at].gt(after || Time.current)).schedule_ordered.limit(limit).pluck(:scheduled_at)
      end

      # @return [String] "Class: message"
      def format_error(error)
        Outcome.error_text(error)
      end

      # Claims the first of these jobs that is due and that nobody has, runs it in this thread and stores how it ended. An error that the job
      # does not handle is part of the result, and not raised.
      # @param lock_id [String] uuid under which it is held meanwhile
      # @param parsed_queues [Hash, nil] of these queues only, see {.queue_parser}
      # @param queue_select_limit [Integer, nil] so many jobs that somebody has locked are passed over; nil: as configured
      # @param lock_strategy [Symbol] what its row says of how it is locked
      # @yieldparam job [Job, nil] before it is run; nil: there is none
      # @return [ExecutionResult, nil] nil: there is none
      # @raise [ArgumentError] a lock_strategy or lock_id that cannot be
      def perform_with_lock(lock_id:, parsed_queues: nil, queue_select_limit: nil, lock_strategy: effective_lock_strategy, &block)
        jobs = claimable(parsed_queues)
        tries_max = queue_select_limit || GoodJob.configuration.queue_select_limit
        # The job that is run sees all jobs, not only those from which it was chosen.
        unscoped { Performer.new(lock_id: lock_id, lock_strategy: lock_strategy).perform_next(jobs, tries_max: tries_max, &block) }
      end

      # See {.perform_with_lock}.
      def perform_with_advisory_lock(**options, &block)
        perform_with_lock(**options, lock_strategy: :advisory, &block)
      end

      # See {.perform_with_lock}.
      def perform_with_skip_locked(**options, &block)
        perform_with_lock(**options, lock_strategy: :skiplocked, &block)
      end

      # See {.perform_with_lock}.
      def perform_with_hybrid_lock(**options, &block)
        perform_with_lock(**options, lock_strategy: :hybrid, &block)
      end

      # @return [Symbol] how jobs are locked here, see {Configuration::LOCK_STRATEGIES}; tables of an older GoodJob know advisory locks only
      def effective_lock_strategy
        column_names.include?("lock_type") ? GoodJob.configuration.lock_strategy : :advisory
      end

      # How often Active Job has begun a job; 0 until the first attempt is over.
      # @return [String] SQL
      def executions_in_params
        "COALESCE((#{quoted_table_name}.serialized_params->>'executions')::integer, 0)"
      end
    end

    # @return [Symbol] :discarded, :succeeded, :running, :queued, :retried or :scheduled
    def status
      return error.present? ? :discarded : :succeeded if finished?
      return :running if performed_at.present?
      return :queued if scheduled_at.nil? || scheduled_at <= Time.current

      error.present? ? :retried : :scheduled
    end

    # @return [Time] when the status became what it is
    def last_status_at
      finished_at || performed_at || scheduled_at || created_at
    end

    def finished?
      finished_at.present?
    end

    def succeeded?
      finished? && error.blank?
    end

    def discarded?
      finished? && error.present?
    end

    # @return [Boolean] whether a process holds it, by its row or by its advisory lock
    def running?
      return true if locked_by_id.present?

      has_attribute?(:locktype) ? self[:locktype].present? : advisory_locked?
    end

    # @return [Boolean] whether it is still there and has not ended
    def executable?
      reload.finished_at.nil?
    rescue ActiveRecord::RecordNotFound
      false
    end

    def executions_count
      super || 0
    end

    # @return [Integer] the attempt that comes next, or runs, beginning with 1
    def number
      executions_in_payload + 1
    end

    # @return [Numeric, nil] seconds that it waited, or waits; nil: it is not due yet
    def queue_latency
      due_at = scheduled_at || created_at
      now = Time.current
      (performed_at || finished_at || now) - due_at if due_at < now
    end

    # @return [Numeric, nil] seconds that its last attempt took, or has taken
    def runtime_latency
      (finished_at || Time.current) - performed_at if performed_at
    end

    # @return [Hash] what an announcement says of it
    def job_state
      { queue_name: queue_name, scheduled_at: scheduled_at }.compact
    end

    # @return [String] its class; of a mail, mailer and mail
    def display_name
      return job_class unless MAIL_CLASSES.include?(job_class)

      serialized_params.to_h.fetch("arguments", []).first(2).join("#").presence || job_class
    end

    # @return [String] its error; without one, how often which errors were retried
    def display_error
      return error if error.present?

      serialized_params.to_h.fetch("exception_executions", {}).map { |errors, count| "#{errors}: #{count}" }.join(", ")
    end

    # @return [String] JSON: its payload, and its row under _good_job
    def display_serialized_params
      row = attributes.except("serialized_params", "locktype", "owns_advisory_lock")
      JSON.pretty_generate({ "_good_job" => row }.merge(serialized_params.to_h).as_json)
    end

    # @deprecated its error
    def recent_error
      GoodJob.deprecator.warn("GoodJob::Job#recent_error is GoodJob::Job#error.")
      error
    end

    # @return [ActiveJob::Base, nil] the job as Active Job knows it; nil only when errors are ignored
    # @raise [NameError, ActiveJob::DeserializationError] the class, or a record among the arguments, is gone
    def active_job(ignore_deserialization_errors: false)
      ActiveJob::Base.deserialize(serialized_params.merge("provider_job_id" => id)).tap do |job|
        job.good_job_concurrency_key = concurrency_key if job.respond_to?(:good_job_concurrency_key=)
        job.good_job_labels = labels || [] if job.respond_to?(:good_job_labels=)
        job.send(:deserialize_arguments_if_needed)
      end
    rescue ActiveJob::DeserializationError, NameError
      raise unless ignore_deserialization_errors
    end

    # Claims this job, whether it is due or not, runs it in this thread and stores how it ended. An error that it does not handle is part of
    # the result, and not raised.
    # @param lock_id [String] uuid under which it is held meanwhile
    # @param already_claimed [Boolean] whether its row may say that it is held under this id already
    # @return [ExecutionResult] unexecutable if somebody else has it
    # @raise [PreviouslyPerformedError] it is finished
    # @raise [ArgumentError] a lock_id that cannot be
    def perform(lock_id:, already_claimed: false)
      performer = Performer.new(lock_id: lock_id, lock_strategy: self.class.effective_lock_strategy)
      result = performer.perform(self, already_claimed: already_claimed) unless finished?
      return result unless result.nil? || (result.unexecutable && self.class.unscoped.finished.exists?(id: id))

      raise PreviouslyPerformedError, "Job #{id} has been performed already"
    end

    # Has a discarded job run once more, at once. Active Job's own retry, with the error that it failed with.
    # @return [ActiveJob::Base] the job as it was enqueued
    # @raise [ActionForStateMismatchError] it is not finished, or has no error
    # @raise [AdapterNotGoodJobError, ActiveJobDeserializationError, AdvisoryLockable::RecordAlreadyAdvisoryLockedError]
    def retry_job
      Operations.retry(self)
    end

    # Ends a job that has not begun, with an error that says why.
    # @param message [String]
    # @raise [ActionForStateMismatchError] it is finished
    # @raise [AdvisoryLockable::RecordAlreadyAdvisoryLockedError] it is running
    def discard_job(message)
      Operations.discard(self, message)
    end

    # Ends a job though it is running: how this run ends is not stored any more.
    # @param message [String]
    # @raise [ActionForStateMismatchError] it is finished
    def force_discard_job(message)
      Operations.force_discard(self, message)
    end

    # Sets another time for a job that has not begun.
    # @param scheduled_at [Time]
    # @raise [ActionForStateMismatchError] it is finished
    # @raise [AdvisoryLockable::RecordAlreadyAdvisoryLockedError] it is running
    def reschedule_job(scheduled_at = Time.current)
      Operations.reschedule(self, scheduled_at)
    end

    # Deletes a finished job and its executions.
    # @raise [ActionForStateMismatchError] it is not finished
    # @raise [AdvisoryLockable::RecordAlreadyAdvisoryLockedError]
    def destroy_job
      Operations.destroy(self)
    end

    private

    def executions_in_payload
      serialized_params.to_h.fetch("executions", 0)
    end

    ActiveSupport.run_load_hooks(:good_job_job, self)
  end
end
