# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"

module Bench
  # How fast one worker process drains jobs that do nothing, beside the most that Ruby can do: {Inside::Ceiling} in the same process.
  # From the worker's start to the last row that the database says has ended; nothing is subtracted.
  class Noop < Scenario
    CEILING_SHARE = 2

    summary "drain ready no-op jobs in one worker process; jobs/s, and their ratio to one thread that only executes"
    option :threads, 5, "threads of the worker"
    option :jobs, 20_000, "jobs to drain", quick: 1_000
    option :repeats, 5, "pairs of ceiling and drain", quick: 1
    variants({ threads: 1 }, { threads: 5 }, { threads: 25 })
    goals ratio_to_ceiling: "≥ 0.93 at 1 thread, 0.95 at 5, 0.92 at 25"

    private

    def measure
      process { |enqueuer| enqueuer.call(:Enqueuing, :bulk, count: options[:jobs]) }
      connection = PG.connect(@database.url)
      queue.keep(connection)
      Interleaving.run(options[:repeats]) do
        queue.restore(connection)
        process { |worker| compare(worker, connection) }
      end
    ensure
      connection&.close
    end

    def compare(worker, connection)
      ceiling = worker.call(:Ceiling, :measure, payload: queue.payload(connection), calls: options[:jobs] / CEILING_SHARE)
      jobs = drain(worker, connection)
      expect_none [*queue.faults(connection, options[:jobs]), *miscounts(worker.call(:Worker, :runs))]
      { jobs_per_second: jobs, ceiling_per_second: ceiling, ratio_to_ceiling: jobs / ceiling }
    end

    def drain(worker, connection)
      started_at = worker.call(:Worker, :start, threads: options[:threads])
      options[:jobs] / Drain.new(options[:jobs]) { queue.finished_count(connection) }.wait(started_at)
    end

    def miscounts(runs)
      runs.reject { |_what, number| number == options[:jobs] }.map { |what, number| "#{number} #{what} in the process, not #{options[:jobs]}" }
    end
  end
end
