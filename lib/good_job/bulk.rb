# frozen_string_literal: true

module GoodJob
  # Collects jobs that are enqueued, and enqueues them together: one statement for a thousand.
  module Bulk
    # Something about bulk enqueueing went wrong.
    class Error < GoodJob::Error; end

    thread_mattr_accessor :current_buffer

    class << self
      # With a block, what is enqueued in it is collected and not enqueued. With jobs, these are put into the buffer that is open.
      # @param active_jobs [Array<ActiveJob::Base>, ActiveJob::Base, nil]
      # @return [Array<ActiveJob::Base>, true, nil] of a block, its jobs; nil: no buffer is open
      # @raise [ArgumentError] both forms at once
      def capture(active_jobs = nil, queue_adapter: nil, &block)
        expect_one_form(active_jobs, block)
        return current_buffer&.add(active_jobs, queue_adapter: queue_adapter) unless block

        buffering(Buffer.new, &block).active_jobs
      end

      # Enqueues the jobs of a block, or these, or those of the buffer that is open. An exception in the block enqueues nothing.
      # @return [Array<ActiveJob::Base>, nil] nil: there is nothing of which to take any
      # @raise [ArgumentError] both forms at once
      def enqueue(active_jobs = nil, &block)
        expect_one_form(active_jobs, block)
        buffer = buffer_of(active_jobs, &block) or return
        buffer.enqueue
        buffer.active_jobs
      end

      # What is enqueued in the block is enqueued at once.
      def unbuffer(&block)
        within(nil, &block)
      end

      private

      def expect_one_form(active_jobs, block)
        raise ArgumentError, "Use either the block form or the argument form, not both" if block && active_jobs
      end

      def buffer_of(active_jobs, &block)
        return buffering(Buffer.new, &block) if block
        return current_buffer unless active_jobs

        Buffer.new.tap { |buffer| buffer.add(active_jobs) }
      end

      def buffering(buffer, &block)
        within(buffer, &block)
        buffer
      end

      def within(buffer)
        outer = current_buffer
        self.current_buffer = buffer
        yield
      ensure
        self.current_buffer = outer
      end
    end

    # Jobs by the adapter that they go to, in order.
    class Buffer
      def initialize
        @jobs = {}
      end

      # @param queue_adapter [#enqueue, nil] nil: the one of each job's class
      # @return [true]
      def add(active_jobs, queue_adapter: nil)
        Array(active_jobs).each { |job| (@jobs[queue_adapter || job.class.queue_adapter] ||= []) << job }
        true
      end

      # Enqueues those that are not enqueued yet; last, those that run then and there, and may raise.
      def enqueue
        inline, others = @jobs.partition { |adapter, _jobs| Inline.adapter?(adapter) }
        Bulk.unbuffer do
          others.each { |adapter, jobs| enqueue_with(adapter, jobs) }
          Inline.each_in_turn(inline) { |adapter, jobs| enqueue_with(adapter, jobs) }
        end
      end

      # @return [Array<ActiveJob::Base>]
      def active_jobs
        @jobs.values.flatten
      end

      private

      def enqueue_with(adapter, jobs)
        jobs = jobs.reject(&:provider_job_id).uniq
        return adapter.enqueue_all(jobs) if adapter.respond_to?(:enqueue_all)

        jobs.each { |job| job.scheduled_at ? adapter.enqueue_at(job, job.scheduled_at.to_f) : adapter.enqueue(job) }
      end
    end
  end
end
