# frozen_string_literal: true

module Bench
  # Numbers measured more than once.
  class Series
    attr_reader :values

    # @param values [Array<Numeric>] at least one
    def initialize(values)
      raise ArgumentError, "nothing was measured" if values.empty?

      @values = values.sort.freeze
    end

    # @return [Numeric] the mean of the two in the middle, where there are two
    def median
      (@values[(@values.size - 1) / 2] + @values[@values.size / 2]) / 2.0
    end

    # @param percent [Numeric] 0 to 100
    # @return [Numeric] the smallest value that so many percent of the values do not exceed
    def percentile(percent)
      @values[((percent * @values.size / 100.0).ceil - 1).clamp(0..)]
    end

    def min
      @values.first
    end

    def max
      @values.last
    end
  end
end
