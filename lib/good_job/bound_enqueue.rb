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
      # @return [Boolean] whether Active Job may wait with it; Rails 7.2 has names here, and goes by them one job at a time only
      def waits?(job)
        job.class.try(:enqueue_after_transaction_commit) ? true : false
      end

      # @return [Boolean, nil] whether its enqueueing must not wait
      def bound?(job)
        (Bulk.current_buffer || JobRow::Origin.any || Run.of(job)) && job.class.queue_adapter.is_a?(Adapter)
      end
    end

    # Of several jobs, those that would wait. Last, the adapters that run jobs then and there, which may raise.
    module Many
      def perform_all_later(*jobs)
        inline, others = jobs.flatten.group_by { |job| job.class.queue_adapter }.partition { |adapter, _jobs| Inline.adapter?(adapter) }
        enqueue = lambda do |(adapter, group)|
          now, later = group.partition { |job| BoundEnqueue.waits?(job) && BoundEnqueue.bound?(job) }
          instrument_enqueue_all(adapter, now) { adapter.enqueue_all(now) } if now.any?
          super(later) if later.any?
        end
        others.each(&enqueue)
        Inline.each_in_turn(inline, &enqueue)
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
