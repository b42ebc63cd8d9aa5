# frozen_string_literal: true

require "global_id/identification"
require "good_job/batch/progress"

module GoodJob # rubocop:disable Style/Documentation -- good_job.rb
  # Jobs with something to do after all of them: callbacks, which are jobs too, when one of them was discarded, when all of them succeeded,
  # and when all of them ended. It can be an argument of jobs, and is one of its callbacks.
  class Batch
    include GlobalID::Identification

    # What is a column of its own; any other name given with it is a property.
    PROTECTED_PROPERTIES = %i[on_finish on_success on_discard callback_queue_name callback_priority description properties].freeze

    class << self
      # @param id [String, Array<String>] several: GlobalID looks for them together
      # @return [Batch, Array<Batch>]
      # @raise [ActiveRecord::RecordNotFound]
      def find(id)
        found = BatchRecord.find(id)
        found.is_a?(Array) ? found.map(&:to_batch) : of(found)
      end

      # @return [Array<Batch>]
      def where(conditions)
        BatchRecord.where(conditions).map(&:to_batch)
      end

      def primary_key
        BatchRecord.primary_key
      end

      # @param record [BatchRecord]
      def of(record)
        new.tap { |batch| batch.instance_variable_set(:@record, record) }
      end

      # Enqueues a new batch, see {#enqueue}.
      # @return [Batch]
      def enqueue(active_jobs = [], **properties, &block)
        new.tap { |batch| batch.enqueue(active_jobs, **properties, &block) }
      end

      # Enqueues new batches, each with its jobs, in one transaction.
      # @param pairs [Array<(Batch, Array<ActiveJob::Base>)>] of jobs also one, or nil
      # @return [Array<Batch>]
      # @raise [ArgumentError] one of them is not new
      def enqueue_all(pairs)
        pairs = pairs.map { |batch, jobs| [batch, Array(jobs)] }
        batches = pairs.map(&:first)
        raise ArgumentError, "GoodJob::Batch.enqueue_all takes new batches only; one of these has been saved before" if batches.any?(&:persisted?)
        raise ArgumentError, "GoodJob::Batch.enqueue_all was given the same batch twice" if batches.uniq.size < batches.size

        insert_all(pairs) if pairs.any?
        batches
      end

      # Jobs that the block enqueues belong to this batch, or are callbacks of it.
      def within_thread(batch_id: nil, batch_callback_id: nil, &block)
        origin = JobRow::Origin.new(**JobRow::Origin.current.to_h, batch_id: batch_id, batch_callback_id: batch_callback_id)
        JobRow::Origin.within(origin.freeze, &block)
      end

      def current_batch_id
        JobRow::Origin.current.batch_id
      end

      def current_batch_id=(id)
        JobRow::Origin.change(batch_id: id)
      end

      def current_batch_callback_id
        JobRow::Origin.current.batch_callback_id
      end

      def current_batch_callback_id=(id)
        JobRow::Origin.change(batch_callback_id: id)
      end

      private

      def insert_all(pairs)
        Inline.deferring do
          BatchRecord.transaction do
            insert_records(pairs.map(&:first))
            origins = pairs.flat_map { |batch, jobs| jobs.map { |job| [job.job_id, JobRow::Origin.new(batch_id: batch.id).freeze] } }.to_h
            JobRow::Origin.within(origins) { Bulk.enqueue(pairs.flat_map(&:last)) }
            pairs.each { |batch, jobs| Progress.new(batch._record).advance if jobs.none?(&:provider_job_id) }
          end
        end
      end

      def insert_records(batches)
        now = Time.current
        rows = batches.map { |batch| batch._record.row_to_insert(created_at: now, updated_at: now, enqueued_at: now) }
        BatchRecord.insert_all!(rows)
        records = BatchRecord.find(rows.map { |row| row["id"] }).index_by(&:id)
        batches.zip(rows) { |batch, row| batch.instance_variable_set(:@record, records.fetch(row["id"])) }
      end
    end

    delegate :id, :created_at, :updated_at, :persisted?, :enqueued_at, :finished_at, :discarded_at, :jobs_finished_at,
             :enqueued?, :finished?, :succeeded?, :discarded?, :jobs_finished?,
             *PROTECTED_PROPERTIES, *PROTECTED_PROPERTIES.map { |name| :"#{name}=" }, to: :@record

    # @param properties [Hash{Symbol => Object}] see {#assign_properties}
    def initialize(**properties)
      @record = BatchRecord.new
      assign_properties(properties)
    end

    # @param properties [Hash{Symbol => Object}] columns by their names; anything else goes into the properties
    def assign_properties(properties)
      columns, others = properties.partition { |name, _value| PROTECTED_PROPERTIES.include?(name) }.map(&:to_h)
      columns.each { |name, value| public_send(:"#{name}=", value) }
      self.properties = self.properties.merge(others) if others.any?
    end

    # Adds jobs without enqueueing the batch: its callbacks wait for {#enqueue}. A job that is enqueued already joins as it is, the one that
    # is running included.
    # @param active_jobs [ActiveJob::Base, Array<ActiveJob::Base>, nil]
    # @yield adds the jobs that the block enqueues
    # @return [Array<ActiveJob::Base>]
    def add(active_jobs = nil, &block)
      jobs = collect(active_jobs, &block)
      Inline.deferring { BatchRecord.transaction { attach(jobs) } }
      jobs
    end

    # Adds jobs and has the callbacks called when all jobs of the batch have ended. A batch whose jobs have ended begins anew.
    # @return [Array<ActiveJob::Base>] the jobs added
    def enqueue(active_jobs = [], **properties, &block)
      assign_properties(properties)
      jobs = collect(active_jobs, &block)
      Inline.deferring { BatchRecord.transaction { begin_with(jobs) } }
      jobs
    end

    # Runs the discarded jobs again; the callbacks are called again.
    # @return [Array<GoodJob::Job>] the jobs
    def retry
      Inline.deferring do
        BatchRecord.transaction do
          progress.hold
          @record.reload.reopen
          @record.jobs.discarded.to_a.each(&:retry_job).tap { progress.advance(lock: false) }
        end
      end
    end

    # @return [Array<ActiveJob::Base>] its jobs
    def active_jobs
      @record.jobs.map(&:active_job)
    end

    # @return [Array<ActiveJob::Base>] the callbacks enqueued so far
    def callback_active_jobs
      @record.callback_jobs.map(&:active_job)
    end

    # @return [Boolean]
    def save
      @record.save
    end

    # @return [self]
    def reload
      @record.reload
      self
    end

    def ==(other)
      other.is_a?(Batch) && (equal?(other) || (!id.nil? && id == other.id))
    end

    # @return [BatchRecord]
    def _record
      @record
    end

    private

    # The block may ask for the id.
    def collect(active_jobs, &block)
      @record.id ||= SecureRandom.uuid
      Array(active_jobs) + (block ? Bulk.capture(&block) : [])
    end

    def begin_with(jobs)
      joined_before = @record.persisted? || jobs.any?(&:provider_job_id)
      @record.save!
      progress.hold if joined_before
      attach(jobs)
      @record.reopen(enqueued_at: Time.current)
      progress.advance(lock: false) if joined_before || jobs.none?(&:provider_job_id)
      Statements.run("announce_batch", [id]) if joined_before && GoodJob.configuration.enable_listen_notify
    end

    def attach(jobs)
      @record.save!
      enqueued, fresh = jobs.partition(&:provider_job_id)
      enqueued.map(&:provider_job_id).each_slice(Enqueuer::ROWS_MAX) { |ids| Job.where(id: ids).update_all(batch_id: id) }
      Batch.within_thread(batch_id: id) { Bulk.enqueue(fresh) }
    end

    def progress
      Progress.new(@record)
    end
  end

  ActiveSupport.run_load_hooks(:good_job_batch, Batch)
end
