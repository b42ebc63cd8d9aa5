# frozen_string_literal: true

module GoodJob
  # For job classes that let Active Job wait for the commit of an open transaction before it enqueues (`enqueue_after_transaction_commit`).
  # What is only true now would be forgotten by then: that a cron entry or a batch enqueues the job, that it is to be collected, that the
  # job is the one that runs. In these cases it is enqueued at once, as part of the transaction, and goes with it when that is rolled back.
  module BoundEnqueue
    class << self
      # @param job_base [Class] ActiveJob::Base, which begins to wait with Rails 7.2
      def prepare(job_base)
        job_base.prepend(self) if job_base.private_method_defined?(:raw_enqueue)
      end

      # @param active_job [Module] ActiveJob, whose `perform_all_later` begins to wait with Rails 8.1; to be called once it does
      def prepare_many(active_job)
        active_job.singleton_class.prepend(Many) if active_job.respond_to?(:perform_all_later)
      end

      # @param job [ActiveJob::Base]
      # @return [Boolean, nil] whether its enqueueing must not wait
      def bound?(job)
        (Bulk.current_buffer || JobRow::Origin.any || Run.of(job)) && job.class.queue_adapter.is_a?(Adapter)
      end
    end

    # Of several jobs, those that would wait.
    module Many
      # What a class says that waits. Rails 8.1 takes anything for true, and used to have names for it.
      WAITING = [true, :always].freeze

      def perform_all_later(*jobs)
        bound, others = jobs.flatten.partition do |job|
          WAITING.include?(job.class.try(:enqueue_after_transaction_commit)) && BoundEnqueue.bound?(job)
        end
        Inline.each_in_turn([*bound.group_by { |job| job.class.queue_adapter }, [nil, others]]) do |adapter, group|
          adapter ? instrument_enqueue_all(adapter, group) { adapter.enqueue_all(group) } : super(group)
        end
        nil
      end
    end
    private_constant :Many

    private

    def raw_enqueue
      return super unless BoundEnqueue.bound?(self)

      # Past the one that waits.
      ActiveJob::Enqueuing.instance_method(:raw_enqueue).bind_call(self)
    end
  end
end
