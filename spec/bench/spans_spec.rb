# frozen_string_literal: true

require_relative "../../bench/support/spans"

RSpec.describe Bench::Spans do
  it "counts the starts at which more than the limit ran" do
    spans = described_class.new([["a", 0, 10], ["b", 5, 15], ["c", 10, 20], ["d", 12, 13]])
    expect([1, 2, 3].map { |limit| spans.starts_above(limit) }).to eq [3, 1, 0]
  end

  it "notices jobs that ran twice, or not" do
    spans = described_class.new([["a", 0, 1], ["a", 2, 3]])
    expect(spans.faults(2)).to eq ["of 1 jobs"]
    expect(spans.faults(3)).to eq ["2 runs in the processes, not 3", "of 1 jobs"]
  end
end
