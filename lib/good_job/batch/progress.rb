# frozen_string_literal: true

module GoodJob
  class Batch
    # Takes a batch as far as it has come: tells of the first job that failed, of the end of all jobs, of the end of all callbacks. What
    # is to be told follows from the rows alone, under the batch's lock and in one transaction with the callbacks' own rows: whoever asks,
    # and however often, every callback is enqueued once.
    class Progress
      class << self
        # @param batch_id [String]
        # @raise [NameError] the class of a callback does not exist here; nothing has happened then
        def advance(batch_id)
          record = BatchRecord.find_by(id: batch_id)
          new(record).advance if record
        end
      end

      # @param record [BatchRecord]
      def initialize(record)
        @record = record
      end

      # @param lock [Boolean] whether to take the batch's lock; false: it is held
      def advance(lock: true)
        Inline.deferring do
          BatchRecord.transaction do
            hold if lock
            @record.reload
            discard
            finish_jobs
            finish
          end
        end
      end

      # Waits for the batch's lock, until the end of the transaction.
      def hold
        Statements.run("hold_until_commit", ["#{Database.tables.fetch(:batches)}-#{@record.id}"])
      end

      private

      def discard
        return if @record.discarded_at || discarded_jobs.none?

        @record.update!(discarded_at: Time.current)
        call_back(@record.on_discard, :discard)
      end

      # Those that failed before the batch was enqueued anew have been told of.
      def discarded_jobs
        jobs = @record.jobs.discarded
        @record.enqueued_at ? jobs.where(finished_at: @record.enqueued_at..) : jobs
      end

      def finish_jobs
        return if @record.enqueued_at.nil? || @record.jobs_finished_at || @record.jobs.unfinished.exists?

        @record.update!(@record.jobs_finished_column => Time.current)
        call_back(@record.on_success, :success) unless @record.discarded_at
        call_back(@record.on_finish, :finish)
      end

      def finish
        return if @record.finished_at || @record.jobs_finished_at.nil? || @record.callback_jobs.unfinished.exists?

        @record.update!(finished_at: Time.current)
      end

      def call_back(class_name, event)
        return if class_name.blank?

        options = { queue: @record.callback_queue_name.presence, priority: @record.callback_priority }.compact
        job = class_name.constantize.new(Batch.of(@record), { event: event })
        Batch.within_thread(batch_callback_id: @record.id) { Bulk.unbuffer { job.enqueue(options) } }
      end
    end
  end
end
