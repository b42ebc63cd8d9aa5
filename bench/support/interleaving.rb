# frozen_string_literal: true

require_relative "statistics"

module Bench
  # The same measurement again and again: each repeat measures everything that is compared, one after the other, so that a machine that
  # is busy for a while slows all of it. What is compared is compared within a repeat.
  class Interleaving
    # @param repeats [Integer]
    # @yieldreturn [Hash{Symbol => Numeric}] the figures of one repeat
    # @return [Hash{Symbol => Series}]
    def self.run(repeats, &repeat)
      rows = Array.new(repeats) { repeat.call }
      rows.first.keys.to_h { |name| [name, Series.new(rows.map { |row| row.fetch(name) })] }
    end
  end
end
