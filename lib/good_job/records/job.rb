# frozen_string_literal: true

module GoodJob
  # A row of good_jobs: for looking at jobs and for finding them. The queue itself builds no models.
  class Job < BaseRecord
    DEFAULT_QUEUE_NAME = "default"
    DEFAULT_PRIORITY = 0

    good_job_table "good_jobs"
    self.implicit_order_column = "created_at"
    self.ignored_columns = %w[retried_good_job_id is_discrete]

    enum_column :error_event, ERROR_EVENTS
    enum_column :lock_type, LOCK_TYPES

    has_many :executions, class_name: "GoodJob::Execution", foreign_key: :active_job_id, primary_key: :active_job_id, inverse_of: :job
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

    # How often Active Job has begun a job; 0 until the first attempt is over.
    # @return [String] SQL
    def self.executions_in_params
      "COALESCE((#{quoted_table_name}.serialized_params->>'executions')::integer, 0)"
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

    # @return [Boolean] whether a process holds it
    def running?
      locked_by_id.present?
    end

    def executions_count
      super || 0
    end

    # @return [Integer] the attempt that comes next, or runs, beginning with 1
    def number
      serialized_params.to_h.fetch("executions", 0) + 1
    end

    def display_name
      job_class
    end

    # @return [ActiveJob::Base, nil] the job as Active Job knows it; nil only when errors are ignored
    # @raise [NameError, ActiveJob::DeserializationError] the class, or a record among the arguments, is gone
    def active_job(ignore_deserialization_errors: false)
      ActiveJob::Base.deserialize(serialized_params.merge("provider_job_id" => id)).tap do |job|
        job.send(:deserialize_arguments_if_needed)
      end
    rescue ActiveJob::DeserializationError, NameError
      raise unless ignore_deserialization_errors
    end

    ActiveSupport.run_load_hooks(:good_job_job, self)
  end
end
