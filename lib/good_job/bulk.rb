# frozen_string_literal: true

module GoodJob
  # Collects jobs instead of enqueueing them one by one.
  module Bulk
    BUFFER = :good_job_bulk_buffer
    private_constant :BUFFER

    class << self
      # @return [Array<ActiveJob::Base>, nil] the jobs collected by this thread so far; nil: it collects none
      def current_buffer
        Thread.current[BUFFER]
      end

      # @return [Array<ActiveJob::Base>, true, nil] the jobs that the block would have enqueued; without a block, whether the jobs given were
      #   collected
      def capture(jobs = nil, queue_adapter: nil, &block) # rubocop:disable Lint/UnusedMethodArgument
        return collect(&block) if block

        current_buffer&.concat(Array(jobs)) && true
      end

      # @return [Array<ActiveJob::Base>] the jobs, enqueued
      def enqueue(jobs = nil, &block)
        jobs = block ? capture(&block) : Array(jobs)
        unbuffer do
          jobs.reject(&:provider_job_id).group_by { |job| job.class.queue_adapter }.each do |adapter, group|
            adapter.respond_to?(:enqueue_all) ? adapter.enqueue_all(group) : group.each(&:enqueue)
          end
        end
        jobs
      end

      # Enqueues at once what the block enqueues.
      def unbuffer
        outer = current_buffer
        Thread.current[BUFFER] = nil
        yield
      ensure
        Thread.current[BUFFER] = outer
      end

      private

      def collect
        outer = current_buffer
        Thread.current[BUFFER] = buffer = []
        yield
        buffer
      ensure
        Thread.current[BUFFER] = outer
      end
    end
  end
end
