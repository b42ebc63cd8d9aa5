# frozen_string_literal: true

require_relative "jobs"

module Bench
  module Inside
    # Waits, and takes the times of its first and its last line.
    class SpanJob < ActiveJob::Base
      SPANS = [] # rubocop:disable Style/MutableConstant -- the jobs append to it

      def perform(duration_ms)
        begun_at = now
        sleep duration_ms / 1000.0
        SPANS << [job_id, begun_at, now]
      end

      private

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
      end
    end

    # The same, of which so many run at once as the environment says.
    class LimitedSpanJob < SpanJob
      if defined?(GoodJob::ActiveJobExtensions::Concurrency)
        include GoodJob::ActiveJobExtensions::Concurrency

        good_job_control_concurrency_with(perform_limit: -> { arguments.fetch(1) }, key: "limited")
      end

      def perform(duration_ms, _limit)
        super(duration_ms)
      end
    end

    # The runs of these in this process.
    module Spans
      class << self
        # @return [Integer] how many jobs were enqueued
        def enqueue(job:, count:, arguments:)
          job_class = Inside.const_get(job, false)
          Array.new(count) { job_class.new(*arguments) }.each_slice(Enqueuing::BULK_SLICE) { |slice| Enqueuing.enqueue_all(slice) }
          count
        end

        # @return [Array<Array(String, Integer, Integer)>] job, µs of its first line, µs of its last; given once
        def take
          SpanJob::SPANS.shift(SpanJob::SPANS.size)
        end
      end
    end
  end
end
