# frozen_string_literal: true

module Bench
  module Inside
    # How fast many jobs are enqueued at once, in each way that there is.
    module BulkRate
      SLICE = 1_000
      WARM_UP_SLICES = 2

      WAYS = {
        enqueue_all: ->(jobs) { Enqueuing.enqueue_all(jobs) },
        perform_all_later: ->(jobs) { ActiveJob.perform_all_later(jobs) },
        bulk: ->(jobs) { GoodJob::Bulk.enqueue(jobs) }
      }.freeze

      class << self
        # @return [Array<Symbol>] the adapter's own, which every version of Active Job knows; since 7.1 Active Job's; GoodJob's
        def ways
          there = { enqueue_all: true, perform_all_later: ActiveJob.respond_to?(:perform_all_later), bulk: defined?(GoodJob::Bulk) }
          there.select { |_way, is_there| is_there }.keys
        end

        # What is done only once is done then.
        def warm_up
          serialize(count: SLICE * WARM_UP_SLICES)
          ways.each { |way| enqueue_slices(way, SLICE * WARM_UP_SLICES) }
        end

        # @return [Float] jobs per second
        def enqueue(way:, count:)
          rate(count) { enqueue_slices(way.to_sym, count) }
        end

        # The part of it that is Active Job's, and text of that by the fastest way there is.
        # @return [Float] jobs per second
        def serialize(count:)
          rate(count) { Array.new(count) { NoopJob.new }.each { |job| JSON.generate(job.serialize) } }
        end

        private

        def enqueue_slices(way, count)
          Array.new(count) { NoopJob.new }.each_slice(SLICE) { |jobs| WAYS.fetch(way).call(jobs) }
          count
        end

        # What the turn before left behind is not this one's to clear away.
        def rate(count)
          GC.start
          started = now
          yield
          count / (now - started)
        end

        def now
          Process.clock_gettime(Process::CLOCK_MONOTONIC)
        end
      end
    end
  end
end
