# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/start_delays"
require_relative "../support/stock"

module Bench
  # Whether jobs have to wait for those of other queues: mice are enqueued one by one, and have two threads of their own; four other
  # threads work on a million elephants, in one queue or spread over five hundred, or have nothing to do. Elephants wait for something,
  # as most jobs do, so that not all processors are busy with them.
  class Neighbour < Scenario
    POOLS = { alone: "mice:2;elephants:4", elephants: "mice:2;elephants:4", many_queues: "mice:2;-mice:4" }.freeze
    WARM_UP_JOBS = 10

    summary "start delay in one queue beside 1,000,000 ready jobs in another, and in 500 others; p99, and its ratio to without them"
    option :jobs, 1_000, "mice to enqueue beside each neighbour", quick: 20
    option :interval_ms, 20, "ms between two of them"
    option :rows, 1_000_000, "elephants", quick: 5_000
    option :queues, 500, "queues that they are spread over, in the last of the three"
    option :elephant_ms, 10, "ms that an elephant takes"
    option :repeats, 5, "turns in which the three alternate", quick: 1
    goals ratio_p99: "≤ 1.5", many_queues_ratio_p99: "≤ 1.5"

    private

    def measure
      Stock.at(queue, @database.url) do |alone|
        Stock.open(queue, "bench_elephants") do |elephants|
          Stock.open(queue, "bench_queues") do |many_queues|
            fill(elephants, ["elephants"])
            fill(many_queues, Array.new(options[:queues]) { |index| "elephants_#{index}" })
            compare(alone: alone, elephants: elephants, many_queues: many_queues)
          end
        end
      end
    end

    def fill(stock, queues)
      jobs = process(stock.url) { |enqueuer| stock.jobs(enqueuer, :SleepingJob, options[:elephant_ms]) }
      jobs.ready(options[:rows], queues: queues)
      stock.vacuum
    end

    def compare(stocks)
      delays = stocks.transform_values { [] }
      options[:repeats].times do
        stocks.each { |kind, stock| delays.fetch(kind).concat(mice_delays(stock, POOLS.fetch(kind))) }
      end
      figures_of(delays.transform_values { |values| Series.new(values) })
    end

    # @return [Array<Float>] ms
    def mice_delays(stock, pools)
      stock.clear_ended
      process(stock.url) do |worker|
        delays = process(stock.url) { |enqueuer| delays_between(enqueuer, worker, pools) }
        worker.call(:Worker, :stop)
        check(stock, worker)
        delays
      end
    end

    def delays_between(enqueuer, worker, pools)
      worker.call(:Worker, :start_idle, threads: 1, queues: pools)
      trips(enqueuer, worker, WARM_UP_JOBS)
      trips(enqueuer, worker, turn_size)
    end

    def trips(enqueuer, worker, count)
      calls = enqueuer.call(:Trickle, :run, jobs: [[:LatencyJob]], count: count, interval_ms: options[:interval_ms], queue: "mice")
      StartDelays.new(worker).since(calls.to_h { |job_id, called_at, _index| [job_id, called_at] }).values
    end

    def check(stock, worker)
      mice = WARM_UP_JOBS + turn_size
      runs = worker.call(:Worker, :runs)
      elephants = stock.finished_count - mice
      expect_none [*stock.faults(elephants + mice), *("the process says #{runs} elephants, not #{elephants}" unless runs.values.uniq == [elephants])]
    end

    # Of all turns together: one turn has too few for a 99th percentile.
    def figures_of(delays)
      p99 = delays.transform_values { |series| series.percentile(99) }
      alone, elephants, many_queues = p99.values_at(:alone, :elephants, :many_queues)
      {
        mice_p50_ms: delays[:elephants].median, mice_p99_ms: elephants, alone_p50_ms: delays[:alone].median, alone_p99_ms: alone,
        ratio_p99: elephants / alone, many_queues_p99_ms: many_queues, many_queues_ratio_p99: many_queues / alone
      }
    end

    def turn_size
      [options[:jobs] / options[:repeats], 1].max
    end
  end
end
