# frozen_string_literal: true

require_relative "../../bench/support/command_line"

RSpec.describe Bench::Plot do
  subject(:svg) { described_class.new(Bench::Results.new(results, Bench::Scenario.all)).svg }

  let(:context) { { ruby: "3.3", rails: "7.2", postgres: "17", cpus: 2, commit: "abc", load: 0.5 } }
  let(:results) do
    [
      { scenario: "noop", options: { threads: 1, jobs: 20_000, repeats: 5 }, figures: { jobs_per_second: 9_000, ratio_to_ceiling: 0.9 },
        context: context },
      { scenario: "noop", options: { threads: 5, jobs: 20_000, repeats: 5 }, figures: { ratio_to_ceiling: 0.96, ratio_to_peer: 2.5 },
        peer: { jobs_per_second: 3_600 }, peer_setup: { adapter: "sidekiq", version: "7" }, context: context },
      { scenario: "cost", options: {}, figures: { wal_bytes_per_job: 3_000 }, context: context },
      { scenario: "gone", options: {}, figures: { ratio: 1 }, context: context }
    ]
  end

  it "draws the figures that have a limit, and no others" do
    expect(svg.scan("<rect").size).to eq 4
    expect(svg).not_to include "jobs_per_second", "gone"
  end

  it "draws what must not be at all: nothing where there is none, and a long bar where there is some" do
    chaos = { scenario: "chaos", options: {}, figures: { lost: 0, overwritten: 2 }, context: context }
    svg = described_class.new(Bench::Results.new([chaos], Bench::Scenario.all)).svg
    expect(svg).to match(/<rect class="met"[^>]* width="0.0"/).and match(/<rect class="missed"[^>]* width="[1-9]/)
  end

  it "says so if the runs were not those that are made for it" do
    expect(svg).to include "commit abc; in other sizes than usual<"
    results.replace(results.first(2))
    expect(described_class.new(Bench::Results.new(results, Bench::Scenario.all)).svg).to include "commit abc<"
  end

  it "says of a run of another commit which one that was" do
    results[2] = results[2].merge(context: context.merge(commit: "def"))
    expect(svg).to include "cost, commit def: wal_bytes_per_job<", "noop, threads 1: ratio_to_ceiling<"
  end

  it "says of each what it is, what it should be, and whether it is" do
    expect(svg).to include "noop, threads 1: ratio_to_ceiling<", "0.9 (goal ≥ 0.93, missed)"
    expect(svg).to include "noop beside sidekiq, threads 5: ratio_to_peer<", "2.5 (goal ≥ 2, met)"
    expect(svg).to include "cost: wal_bytes_per_job<", "3000 (goal ≤ 1,500, missed)"
  end

  it "draws a bar in parts of its goal, and cuts what is too long" do
    widths = svg.scan(/<rect [^>]*width="([\d.]+)"/).flatten.map { |width| Float(width) }

    expect(widths).to eq [232.3, 242.5, 300, 360]
  end

  it "is one well-formed document" do
    expect(svg.scan("<text").size).to eq svg.scan("</text>").size
    expect(svg).to start_with("<svg ").and end_with("</svg>\n")
  end
end

RSpec.describe Bench::Goal do
  it "is a least or a most" do
    expect(described_class.parse("≥ 0.95")).to be_floor.and be_met_by(0.95)
    expect(described_class.parse("≤ 1,500")).not_to be_met_by(1_501)
  end

  it "is nothing where the text has no limit" do
    expect([described_class.parse("flat"), described_class.parse("1")]).to all be_nil
  end
end

RSpec.describe Bench::Sheet do
  let(:results) do
    [{ scenario: "latency", options: {}, figures: { p50_ms: 1.5, ratio_p50: 1.25 }, spread: { p50_ms: [1.25, 2000.5] },
       context: { ruby: "3.3", rails: "7.2", postgres: "17", cpus: 2, commit: "abc", load: 0.5 } }]
  end

  it "gives each figure a row, with its spread, its goal and whether that is met, and the run's name once" do
    rows = described_class.new(Bench::Results.new(results, Bench::Scenario.all)).markdown.lines(chomp: true)
    expect(rows.last(2)).to match ["| latency | `p50_ms` | 1.5 | 1.25 – 2,000.5 |  |  |", /\A\|  \| `ratio_p50` \| 1.25 \|  \| ≤ 1.5 \| met \|\z/]
  end
end
