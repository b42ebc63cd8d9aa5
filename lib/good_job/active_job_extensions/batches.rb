# frozen_string_literal: true

module GoodJob
  # What job classes may include.
  module ActiveJobExtensions
    # The batch of the job that is running.
    module Batches
      extend ActiveSupport::Concern

      included do
        before_enqueue { Batches.note_foreign_adapter(self) }
      end

      # Another queue's jobs are neither collected nor part of a batch.
      def self.note_foreign_adapter(job)
        return if job.class.queue_adapter.is_a?(Adapter)
        return unless Batch.current_batch_id || Bulk.current_buffer

        LogSubscriber.log(:debug, "#{job.class} is enqueued in a batch or in bulk, but its queue adapter is not GoodJob's: it is enqueued as it is.")
      end

      # @return [Batch, nil] that the job belongs to; nil too where it does not run as a job of its own (perform_now)
      def batch
        return @good_job_batch if defined?(@good_job_batch) && @good_job_batch

        @good_job_batch = Run.of(self) && Job.find_by(id: job_id)&.batch&.to_batch
      end

      # @return [Boolean]
      def batch?
        batch.present?
      end
    end
  end
end
