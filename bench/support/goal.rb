# frozen_string_literal: true

module Bench
  # What the project wants of a figure, where that is a number: "≥ 0.95" or "≤ 3".
  class Goal
    FORM = /\A(?<direction>[≥≤])\s*(?<limit>\d[\d,]*(?:\.\d+)?)/

    attr_reader :text, :limit

    # @return [Goal, nil] nil: it is no limit
    def self.parse(text)
      match = FORM.match(text)
      new(text, match[:direction], Float(match[:limit].delete(","))) if match
    end

    def initialize(text, direction, limit)
      @text = text
      @direction = direction
      @limit = limit
    end

    # @return [Boolean] whether more is better
    def floor?
      @direction == "≥"
    end

    # @return [Float] the value by its limit; where there must be none, any is far too many
    def share(value)
      return value / limit unless limit.zero?

      value.zero? ? 0.0 : Float::INFINITY
    end

    def met_by?(value)
      floor? ? value >= limit : value <= limit
    end
  end
end
