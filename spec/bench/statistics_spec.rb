# frozen_string_literal: true

require_relative "../../bench/support/statistics"
require_relative "../../bench/support/interleaving"

RSpec.describe Bench::Series do
  it "has the value in the middle as its median" do
    expect(described_class.new([9, 1, 5]).median).to eq 5
  end

  it "has the mean of the two in the middle as its median, where there are two" do
    expect(described_class.new([4, 1, 2, 100]).median).to eq 3
  end

  it "knows its ends, in whatever order it was measured" do
    series = described_class.new([3, 1.5, 2])

    expect(series.min).to eq 1.5
    expect(series.max).to eq 3
  end

  it "gives the smallest value that so many percent of the values do not exceed" do
    series = described_class.new((1..1000).to_a.shuffle)

    expect([0, 50, 99, 99.9, 100].map { |percent| series.percentile(percent) }).to eq [1, 500, 990, 999, 1000]
  end

  it "gives the only value as every percentile" do
    expect([1, 50, 99].map { |percent| described_class.new([7]).percentile(percent) }).to eq [7, 7, 7]
  end

  it "refuses to be of nothing" do
    expect { described_class.new([]) }.to raise_error(ArgumentError, /nothing was measured/)
  end
end

RSpec.describe Bench::Interleaving do
  it "collects each figure over the repeats" do
    rows = [{ fast: 1, slow: 10 }, { fast: 3, slow: 30 }, { fast: 2, slow: 20 }].each

    figures = described_class.run(3) { rows.next }

    expect(figures.transform_values(&:values)).to eq(fast: [1, 2, 3], slow: [10, 20, 30])
  end
end
