# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/stock"

module Bench
  # What errors cost: jobs that all raise, and jobs that are all retried once, beside jobs that do nothing. Active Job logs each error
  # with its backtrace, as in production; the log is thrown away.
  class Failing < Scenario
    # What the tables have to say of a kind of job after it ended: in how many runs, how many of them with an error, and which.
    Ending = Struct.new(:job, :runs, :failed_runs, :error_event, :job_error_event)
    ENDINGS = {
      noop: Ending.new(:NoopJob, 1, 0, nil, nil),
      failing: Ending.new(:FailingJob, 1, 1, 1, 1),
      retried: Ending.new(:RetriedJob, 2, 1, 3, nil)
    }.freeze

    summary "drain jobs that all raise, and jobs that are all retried once; jobs/s, and their ratio to jobs that do nothing"
    option :threads, 5, "threads of the worker"
    option :jobs, 10_000, "jobs to drain of each kind", quick: 300
    option :repeats, 5, "turns in which the kinds alternate", quick: 1
    goals ratio_to_noop: "≥ 0.5", retried_ratio_to_noop: "≥ 0.5"

    private

    def measure
      Stock.at(queue, @database.url) do |stock|
        jobs = process { |enqueuer| ENDINGS.transform_values { |ending| stock.jobs(enqueuer, ending.job) } }
        Interleaving.run(options[:repeats]) do
          figures_of(ENDINGS.to_h { |kind, ending| [kind, drained(stock, jobs.fetch(kind), ending)] })
        end
      end
    end

    def figures_of(rates)
      noop, failing, retried = rates.values_at(:noop, :failing, :retried)
      {
        noop_per_second: noop, failing_per_second: failing, retried_per_second: retried,
        ratio_to_noop: failing / noop, retried_ratio_to_noop: retried / noop
      }
    end

    # @return [Float] jobs per second, each with all of its runs
    def drained(stock, jobs, ending)
      stock.empty
      jobs.ready(options[:jobs])
      stock.vacuum
      process do |worker|
        worker.call(:Log, :discard)
        started_at = worker.call(:Worker, :start, threads: options[:threads])
        seconds = Drain.new(options[:jobs]) { stock.finished_count }.wait(started_at)
        check(stock, ending, worker.call(:Worker, :runs))
        options[:jobs] / seconds
      end
    end

    def check(stock, ending, runs)
      jobs = options[:jobs]
      said = { runs: jobs * ending.runs, jobs: jobs }
      expect_none [*("the process says #{runs}, not #{said}" unless runs == said), *mistakes(stock, ending)]
    end

    # @return [Array<String>] what the tables have wrong
    def mistakes(stock, ending)
      found = stock.connection.exec_params(<<~SQL, [ending.runs, ending.job_error_event, ending.error_event]).first
        SELECT (SELECT count(*) FROM good_jobs
                WHERE finished_at IS NOT NULL AND locked_by_id IS NULL AND executions_count = $1::int4
                  AND error_event IS NOT DISTINCT FROM $2::int4 AND (error IS NULL) = ($2::int4 IS NULL)) AS jobs,
               (SELECT count(*) FROM good_job_executions WHERE finished_at IS NOT NULL) AS runs,
               (SELECT count(DISTINCT active_job_id) FROM good_job_executions) AS run_jobs,
               (SELECT count(*) FROM good_job_executions
                WHERE error LIKE '%Failure: %' AND error_event = $3::int4 AND cardinality(error_backtrace) > 0) AS failed_runs
      SQL
      expected = { jobs: 1, runs: ending.runs, run_jobs: 1, failed_runs: ending.failed_runs }.transform_values { |each| each * options[:jobs] }
      expected.reject { |what, number| Integer(found.fetch(what.to_s)) == number }
        .map { |what, number| "#{ending.job}: #{found.fetch(what.to_s)} #{what.to_s.tr("_", " ")} in the tables as they should be, not #{number}" }
    end
  end
end
