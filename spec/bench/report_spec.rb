# frozen_string_literal: true

require_relative "../../bench/support/command_line"

RSpec.describe Bench::Report do
  subject(:report) { described_class.new(scenario, figures, ruby: "3.1", rails: "6.1", postgres: "15", cpus: 2, commit: "abc", load: 0.5) }

  let(:scenario) { Bench::Noop.new({ threads: 5, jobs: 20_000, repeats: 3 }) }
  let(:figures) do
    { jobs_per_second: Bench::Series.new([12_000, 15_432.1, 16_000]), ratio_to_ceiling: Bench::Series.new([0.81234, 0.9, 0.7]), p99_ms: 2.34567 }
  end

  it "has the form that machines read, with medians as figures" do
    expect(report.to_h).to eq(
      scenario: "noop", adapter: "good_job_rs", options: { threads: 5, jobs: 20_000, repeats: 3 },
      figures: { jobs_per_second: 15_430, ratio_to_ceiling: 0.8123, p99_ms: 2.346 },
      spread: { jobs_per_second: [12_000, 16_000], ratio_to_ceiling: [0.7, 0.9] },
      context: { ruby: "3.1", rails: "6.1", postgres: "15", cpus: 2, commit: "abc", load: 0.5 }
    )
  end

  it "has a peer's figures under the names of ours, and says how it was set up" do
    peer = Bench::Peer.find("que")
    allow(peer).to receive_messages(version: "2.4", settings: { pool: 50 })
    scenario = Bench::Noop.new({ threads: 5 }, peer: peer)
    figures = { jobs_per_second: 9, peer_jobs_per_second: 3, ratio_to_peer: 3.0 }
    context = { ruby: "3.1", rails: "6.1", postgres: "15", cpus: 2, load: 0.5 }
    report = described_class.new(scenario, figures, context)

    expect(report.to_h).to include(figures: { jobs_per_second: 9, ratio_to_peer: 3.0 }, peer: { jobs_per_second: 3 },
                                   peer_setup: { adapter: "que", version: "2.4", pool: 50 })
    expect(report.table).to include("beside que 2.4: pool 50")
  end

  it "shows median, least and most, and the goal beside what has one" do
    expect(report.table).to match(/^ +median +min +max$/)
    expect(report.table).to match(/^ +jobs_per_second +15,430 +12,000 +16,000$/)
    expect(report.table).to match(/^ +ratio_to_ceiling +0.8123 +0.7 +0.9 +goal: /)
  end
end

RSpec.describe Bench::CommandLine do
  it "names every scenario and its options when asked for nothing" do
    expect { described_class.new([]).run }.to output(/noop\n.*--threads N.*/m).to_stdout
  end

  {
    %w[nop] => /no scenario "nop", only .*\bnoop\b/,
    %w[noop --speed 5] => /invalid option: --speed \(known: .*--threads N/,
    %w[noop --threads many] => /invalid argument: --threads many/,
    %w[noop --threads 0] => /--threads 0 is less than 1/,
    %w[noop 5] => /"5" is no option/,
    %w[noop --peer resque] => /invalid argument: --peer resque/,
    %w[footprint --peer que] => /footprint does not compare with peers/,
    %w[plot] => /plot shows a FILE/,
    %w[plot nowhere.json] => /nowhere.json cannot be shown: No such file/
  }.each do |arguments, message|
    it "refuses #{arguments.join(" ")}, and says what is wrong" do
      status = nil

      expect { status = described_class.new(arguments).run }.to output(message).to_stderr
      expect(status).to eq 64
    end
  end
end
