# frozen_string_literal: true

module Bench
  module Inside
    # What a batch calls when its jobs have ended.
    class CallbackJob < ActiveJob::Base
      def perform(_batch, _context); end
    end

    # No-op jobs, as they are and as one batch.
    module Batches
      class << self
        def plain(count:)
          Enqueuing.bulk(count: count)
        end

        def batched(count:)
          GoodJob::Batch.enqueue(Array.new(count) { NoopJob.new }, on_finish: CallbackJob.name)
          count
        end
      end
    end
  end
end
