# frozen_string_literal: true

require_relative "../../bench/support/command_line"

RSpec.describe Bench::Supply do
  subject(:supply) { described_class.new(jobs) }

  let(:jobs) { instance_double(Bench::ManyJobs) }
  let(:added) { [] }

  before { allow(jobs).to receive(:ready) { |count| added << count } }

  it "adds no more in a second than it is told, bit by bit" do
    supply.steadily(1_000, 0.1)

    expect(supply.added).to be_between(1, 100)
    expect(supply.added).to eq added.sum
    expect(added.max).to be < 100
  end

  it "keeps so many waiting, whatever has ended" do
    ended = [0, 0, 4, 10].each
    left = 4

    supply.keep(5, ->(_elapsed_s) { (left -= 1) >= 0 }) { ended.next }

    expect(added).to eq [5, 4, 6]
    expect(supply.added).to eq 15
  end
end
