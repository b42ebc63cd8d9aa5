# frozen_string_literal: true

module Bench
  module Inside
    # Does nothing but be counted: a list of ids would itself be what grows.
    class CountedJob < ActiveJob::Base
      LOCK = Mutex.new

      class << self
        # @return [Integer]
        attr_accessor :count
      end
      self.count = 0

      def perform
        LOCK.synchronize { CountedJob.count += 1 }
      end
    end

    # The runs of {CountedJob} in this process.
    module CountedJobs
      class << self
        # @return [Integer]
        def count
          CountedJob.count
        end

        # Without a queue: what the application itself needs for as many.
        # @return [Integer] how many there were
        def execute(count:)
          payload = JSON.generate(CountedJob.new.serialize)
          count.times { ActiveJob::Base.execute(JSON.parse(payload)) }
          count
        end
      end
    end
  end
end
