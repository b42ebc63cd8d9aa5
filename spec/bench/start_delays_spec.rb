# frozen_string_literal: true

require_relative "../../bench/support/command_line"

RSpec.describe Bench::StartDelays do
  # A worker's process that tells of starts in parts, as they happen.
  def worker(*parts)
    instance_double(Bench::MeasuredProcess).tap { |process| allow(process).to receive(:call).with(:Worker, :starts).and_return(*parts) }
  end

  it "tells how many milliseconds lie between the times and the starts, whatever their order" do
    delays = described_class.new(worker([["b", 5_500]], [], [["a", 2_000]])).since("a" => 1_000, "b" => 5_000)

    expect(delays).to eq("a" => 1.0, "b" => 0.5)
  end

  it "refuses a job that started twice" do
    expect { described_class.new(worker([["a", 1], ["a", 2]])).since("a" => 0, "b" => 0) }.to raise_error(Bench::Incorrect)
  end

  it "refuses a job that was not asked for" do
    expect { described_class.new(worker([["c", 1]])).since("a" => 0) }.to raise_error(Bench::Incorrect)
  end
end
