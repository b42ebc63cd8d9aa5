# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/stock"

module Bench
  # Whether it matters how many jobs are waiting: the same number of no-op jobs is drained from a table that has no more, and from one
  # that has many times as many. Beside it the claim statement alone.
  class Backlog < Scenario
    summary "drain the same number of no-op jobs from 10,000 ready ones and from 1,000,000; and the claim statement's time in both"
    option :threads, 5, "threads of the worker"
    option :jobs, 10_000, "jobs in the small table, and jobs to drain from each", quick: 500
    option :rows, 1_000_000, "jobs in the large table", quick: 5_000
    option :claims, 200, "claims timed in each repeat", quick: 10
    option :repeats, 5, "turns in which the two tables alternate", quick: 1
    goals ratio_1m_to_10k: "≥ 0.95", claim_p99_ratio: "flat"

    CLAIMED_AT_ONCE = 50

    private

    def measure
      Stock.at(queue, @database.url) do |small|
        Stock.open(queue, "bench_large") { |large| compare(small, large) }
      end
    end

    def compare(small, large)
      sides = [side(small, options[:jobs]), side(large, options[:rows])]
      claims = [[], []]
      figures = Interleaving.run(options[:repeats]) do
        rates = sides.zip(claims).map { |side, times| drained(*side, times) }
        { jobs_per_second_10k: rates.first, jobs_per_second_1m: rates.last, ratio_1m_to_10k: rates.last / rates.first }
      end
      figures.merge(claim_figures(*claims))
    end

    # @return [Array(Stock, ManyJobs, Integer)] and how many jobs are to be waiting at the start of a turn
    def side(stock, waiting)
      jobs = process(stock.url) { |enqueuer| stock.jobs(enqueuer, :NoopJob) }
      [stock, jobs, waiting]
    end

    # @return [Float] jobs per second
    def drained(stock, jobs, waiting, claims)
      fill_up(stock, jobs, waiting)
      process(stock.url) do |worker|
        claims.concat(worker.call(:Claim, :times_ms, count: options[:claims], jobs: CLAIMED_AT_ONCE))
        # What was rolled back is dead weight that no real claim leaves.
        stock.vacuum
        drain(stock, worker)
      end
    end

    def fill_up(stock, jobs, waiting)
      stock.clear_ended
      jobs.ready(waiting - queue.waiting_count(stock.connection))
      stock.vacuum
    end

    def drain(stock, worker)
      started_at = worker.call(:Worker, :start, threads: options[:threads])
      seconds = Drain.new(options[:jobs]) { stock.finished_count }.wait(started_at)
      worker.call(:Worker, :stop)
      # It may have run more than was waited for.
      expect_none stock.faults(stock.finished_count, worker.call(:Worker, :runs))
      options[:jobs] / seconds
    end

    def claim_figures(small, large)
      small, large = [small, large].map { |times| Series.new(times).percentile(99) }
      { claim_p99_ms: large, claim_p99_10k_ms: small, claim_p99_ratio: large / small }
    end
  end
end
