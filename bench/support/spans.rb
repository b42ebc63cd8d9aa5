# frozen_string_literal: true

module Bench
  # When jobs ran, by a clock that all processes share.
  class Spans
    # @param spans [Array<Array(String, Integer, Integer)>] job, begin, end
    def initialize(spans)
      @spans = spans
    end

    # @return [Integer] how many began while more than so many ran, themselves included
    def starts_above(limit)
      running = 0
      # At one moment the ends come first.
      moments = @spans.flat_map { |_job, from, to| [[from, 1], [to, -1]] }.sort
      moments.count { |_at, change| (running += change) > limit && change == 1 }
    end

    # @return [Array<String>] what is wrong after so many jobs ran once each
    def faults(count)
      jobs = @spans.map(&:first).uniq.size
      [*("#{@spans.size} runs in the processes, not #{count}" if @spans.size != count), *("of #{jobs} jobs" if jobs != @spans.size)]
    end
  end
end
