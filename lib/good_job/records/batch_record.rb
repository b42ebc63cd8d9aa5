# frozen_string_literal: true

module GoodJob
  # A row of good_job_batches.
  class BatchRecord < BaseRecord
    include AdvisoryLockable

    good_job_table "good_job_batches"
    self.implicit_order_column = "created_at"

    has_many :jobs, class_name: "GoodJob::Job", foreign_key: :batch_id, inverse_of: :batch
    has_many :callback_jobs, class_name: "GoodJob::Job", foreign_key: :batch_callback_id, inverse_of: :callback_batch

    scope :finished, -> { where.not(finished_at: nil) }
    scope :discarded, -> { where.not(discarded_at: nil) }
    scope :not_discarded, -> { where(discarded_at: nil) }
    scope :succeeded, -> { finished.not_discarded }
    scope :finished_before, ->(time) { where(finished_at: ..time) }

    before_save { write_properties }

    # @return [Symbol] the column that says when its jobs had ended; tables of an older GoodJob have one for jobs and callbacks together
    def self.jobs_finished_column
      column_names.include?("jobs_finished_at") ? :jobs_finished_at : :finished_at
    end
    delegate :jobs_finished_column, to: :class

    %i[on_finish on_success on_discard].each do |name|
      define_method(:"#{name}=") { |job_class| super(job_class&.to_s) }
    end

    # @return [Time, nil]
    def jobs_finished_at
      self[jobs_finished_column]
    end

    def enqueued?
      enqueued_at.present?
    end

    def finished?
      finished_at.present?
    end

    def discarded?
      discarded_at.present?
    end

    def succeeded?
      finished? && !discarded?
    end

    def jobs_finished?
      jobs_finished_at.present?
    end

    # What the application keeps with the batch; may be changed in place.
    # @return [Hash]
    # @raise [ActiveJob::DeserializationError] a record among them is gone
    def properties
      @properties ||= serialized_properties ? ActiveJob::Arguments.deserialize([serialized_properties]).first : {}
    end

    # @raise [TypeError] not a Hash
    def properties=(properties)
      raise TypeError, "The properties of a batch must be a Hash; #{properties.inspect} is none" unless properties.is_a?(Hash)

      @properties = properties.dup
    end

    def reload(*)
      @properties = nil
      super
    end

    # @return [Batch]
    def to_batch
      Batch.of(self)
    end

    # @return [Hash]
    def display_attributes
      attributes.except("serialized_properties").merge("properties" => properties)
    end

    # Nothing of it has ended.
    def reopen(**changes)
      update!({ discarded_at: nil, jobs_finished_column => nil, finished_at: nil }.merge(changes))
    end

    # Calls the callbacks that are due.
    # @param _job [Job, nil] that has ended; what is due follows from all rows
    # @param lock [Boolean] whether to take the batch's lock; false: the caller has it
    def _continue_discard_or_finish(_job = nil, lock: true)
      Batch::Progress.new(self).advance(lock: lock)
    end

    # @return [Hash{String => Object}] what is inserted together with others
    def row_to_insert(**times)
      assign_attributes(id: id || SecureRandom.uuid, **times)
      write_properties
      attributes
    end

    private

    def write_properties
      self.serialized_properties = ActiveJob::Arguments.serialize([@properties]).first if @properties
    end

    ActiveSupport.run_load_hooks(:good_job_batch_record, self)
  end
end
