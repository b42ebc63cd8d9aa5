# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"

module Bench
  # How fast one worker process drains jobs that do nothing, beside the most that Ruby can do: {Inside::Ceiling} in the same process.
  # From the worker's start to the last row that the database says has ended; nothing is subtracted.
  class Noop < Scenario
    CEILING_SHARE = 2
    CEILING_GOALS = { 1 => "≥ 0.93", 5 => "≥ 0.95", 25 => "≥ 0.92" }.freeze
    PEER_GOALS = { "sidekiq" => "≥ 2", "good_job" => "≥ 100" }.freeze

    summary "drain ready no-op jobs in one worker process; jobs/s, and their ratio to one thread that only executes"
    option :threads, 5, "threads of the worker"
    option :jobs, 20_000, "jobs to drain", quick: 1_000
    option :repeats, 5, "pairs of ceiling and drain", quick: 1
    variants({ threads: 1 }, { threads: 5 }, { threads: 25 })
    compares :jobs_per_second

    def goals
      { ratio_to_ceiling: CEILING_GOALS[options[:threads]], ratio_to_peer: PEER_GOALS[peer&.name] }.compact
    end

    private

    def measure
      with_sides do |sides|
        sides.each { |side| fill(side) }
        Interleaving.run(options[:repeats]) { turn(sides) { |side| compare(side) } }
      end
    end

    def fill(side)
      side.process { |enqueuer| enqueuer.call(:Enqueuing, :bulk, count: count(side)) }
      side.queue.keep(side.connection)
    end

    def compare(side)
      side.queue.restore(side.connection)
      payload = side.queue.payload(side.connection)
      figures, runs = side.process do |worker|
        ceiling = worker.call(:Ceiling, :measure, payload: payload, calls: count(side) / CEILING_SHARE)
        jobs = drain(side, worker)
        [{ jobs_per_second: jobs, ceiling_per_second: ceiling, ratio_to_ceiling: jobs / ceiling }, worker.call(:Worker, :runs)]
      end
      expect_none [*side.queue.faults(side.connection, count(side)), *miscounts(runs, count(side))]
      figures
    end

    def drain(side, worker)
      started_at = worker.call(:Worker, :start, threads: options[:threads])
      count(side) / Drain.new(count(side)) { side.finished_count(worker) }.wait(started_at)
    end

    def count(side)
      side.queue.jobs(options[:jobs])
    end

    def miscounts(runs, count)
      runs.reject { |_what, number| number == count }.map { |what, number| "#{number} #{what} in the process, not #{count}" }
    end
  end
end
