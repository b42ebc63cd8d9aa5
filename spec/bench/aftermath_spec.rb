# frozen_string_literal: true

require_relative "../../bench/support/command_line"

RSpec.describe Bench::Aftermath do
  second = 1_000_000

  def run(job_id, worker, began_us, ended_us)
    Bench::Journal::Run.new(job_id, worker, began_us, ended_us)
  end

  def kill(worker, at_us, *held)
    described_class::Blow.new(worker, at_us, held, nil)
  end

  def stop(worker, at_us, resumed_us, *held)
    described_class::Blow.new(worker, at_us, held, resumed_us)
  end

  describe "runs of a job beyond the first" do
    # What ran, what happened, whether the second run is nobody's fault.
    {
      "after its worker was killed in the midst" => [[["a", 1, 0, nil], ["a", 2, 9, 10]], [[:kill, 1, 5]], true],
      "after its worker was killed just behind its end" => [[["a", 1, 0, 4], ["a", 2, 9, 10]], [[:kill, 1, 5]], true],
      "after its worker was killed long after its end" => [[["a", 1, 0, 4], ["a", 2, 9, 10]], [[:kill, 1, 4 + second]], false],
      "in a worker that nothing happened to" => [[["a", 1, 0, 4], ["a", 2, 9, 10]], [[:kill, 3, 5]], false],
      "twice after two workers were killed" => [[["a", 1, 0, nil], ["a", 2, 6, nil], ["a", 3, 9, 10]], [[:kill, 1, 5], [:kill, 2, 8]], true],
      "twice after one was" => [[["a", 1, 0, nil], ["a", 2, 6, 7], ["a", 3, 9, 10]], [[:kill, 1, 5]], false],
      "beside its worker that was stopped in the midst" => [[["a", 1, 0, 30], ["a", 2, 9, 10]], [[:stop, 1, 5, 29]], true],
      "in a worker that went on with what it had held" => [[["a", 2, 9, 10], ["a", 1, 30, 31]], [[:stop, 1, 5, 29, "a"]], true],
      "in a worker that went on with what it had not held" => [[["a", 2, 9, 10], ["a", 1, 30, 31]], [[:stop, 1, 5, 29, "b"]], false]
    }.each do |what, (runs, blows, explained)|
      it "#{what} #{explained ? "are explained" : "are not explained"}" do
        aftermath = described_class.new(runs.map { |values| run(*values) }, blows.map { |kind, *values| public_send(kind, *values) })
        expect(aftermath.duplicates_outside_flight).to eq(explained ? [] : %w[a])
        expect(aftermath.repeated_runs).to eq runs.size - 1
      end
    end
  end

  it "counts a rescue from the blow to the next start elsewhere" do
    runs = [run("a", 1, 0, nil), run("b", 1, 2, nil), run("b", 2, 3 * second, nil), run("a", 2, 5 * second, nil)]
    kills = [kill(1, second, "a", "b")]
    expect(described_class.new(runs, kills).rescue_times_s(kills)).to contain_exactly(4.0, 2.0)
  end

  it "takes a job for rescued once another worker holds it, whatever happens to that one" do
    runs = [run("a", 3, 20 * second, nil)]
    kills = [kill(1, second, "a"), kill(2, 7 * second, "a")]
    expect(described_class.new(runs, kills).rescue_times_s(kills)).to eq [6.0, 13.0]
  end

  it "names jobs that nobody ran to the end" do
    aftermath = described_class.new([run("a", 1, 0, nil), run("b", 1, 0, nil), run("b", 2, 1, 2)], [])
    expect(aftermath.never_ended(%w[a b c])).to eq %w[a c]
  end
end
