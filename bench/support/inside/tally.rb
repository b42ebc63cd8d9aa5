# frozen_string_literal: true

module Bench
  module Inside
    # Counts its runs, and keeps nothing: a list of millions would slow the garbage collector, and so what is measured.
    class TallyJob < ActiveJob::Base
      def perform
        Tally.add
      end
    end

    # How many runs there were.
    module Tally
      @mutex = Mutex.new
      @count = 0

      class << self
        attr_reader :count

        def add
          @mutex.synchronize { @count += 1 }
        end
      end
    end
  end
end
