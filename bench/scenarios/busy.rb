# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/start_delays"
require_relative "../support/stock"
require_relative "../support/supply"

module Bench
  # Latency while the worker is at half of what it can do: how much of it is measured first, then jobs are enqueued one by one, in turns
  # with and without a steady stream of no-op jobs beside them. And how long it takes from a job's first line until the table says that
  # it has ended.
  class Busy < Scenario
    LOAD_SHARE = 0.5
    # Not counted: what is done only once is done then.
    WARM_UP_JOBS = 10

    summary "latency and time until the end is visible, with the worker at half of its noop throughput; and the ratio to an idle worker"
    option :threads, 5, "threads of the worker"
    option :noop_jobs, 20_000, "jobs to drain, to know its throughput", quick: 1_000
    option :jobs, 1_000, "jobs to enqueue one by one, busy and idle", quick: 20
    option :interval_ms, 20, "ms between two of them"
    option :repeats, 5, "turns in which busy and idle alternate", quick: 1
    goals p99_ms: "≤ 25", ratio_p99: "≤ 4"

    private

    def measure
      Stock.at(queue, @database.url) do |stock|
        process do |enqueuer|
          noops = stock.jobs(enqueuer, :NoopJob)
          process { |worker| compare(stock, noops, enqueuer, worker) }
        end
      end
    end

    def compare(stock, noops, enqueuer, worker)
      rate = noop_rate(stock, noops, worker)
      supply = Supply.new(noops)
      trips(enqueuer, worker, WARM_UP_JOBS)
      idle, busy = Array.new(2) { { start: [], visible: [] } }
      options[:repeats].times do |turn|
        gather(idle, trips(enqueuer, worker, turn_size))
        gather(busy, trips(enqueuer, worker, turn_size) { |seconds| supply.steadily(rate * LOAD_SHARE, seconds) })
        catch_up(stock, supply, (turn + 1) * 2)
      end
      check(stock, worker, supply)
      { noop_per_second: rate, load_per_second: rate * LOAD_SHARE, **figures_of(idle, busy) }
    end

    # @return [Float] jobs per second; the worker goes on, without work
    def noop_rate(stock, noops, worker)
      noops.ready(options[:noop_jobs])
      stock.vacuum
      started_at = worker.call(:Worker, :start, threads: options[:threads])
      options[:noop_jobs] / Drain.new(options[:noop_jobs]) { stock.finished_count }.wait(started_at)
    end

    # @yieldparam seconds [Float] what to do for so long meanwhile
    # @return [Hash{Symbol => Array<Float>}] ms from the call of perform_later to the first line of perform, and from there until the end
    #   was visible
    def trips(enqueuer, worker, count)
      enqueuer.tell(:Visibility, :run, count: count, interval_ms: options[:interval_ms])
      yield count * options[:interval_ms] / 1000.0 if block_given?
      trips = enqueuer.read
      delays = StartDelays.new(worker).since(trips.to_h { |job_id, called_at, _seen_at| [job_id, called_at] })
      { start: delays.values, visible: trips.map { |job_id, called_at, seen_at| ((seen_at - called_at) / 1000.0) - delays.fetch(job_id) } }
    end

    def gather(all, trips)
      trips.each { |what, values| all.fetch(what).concat(values) }
    end

    # Waits until the worker is idle again.
    def catch_up(stock, supply, turns)
      count = WARM_UP_JOBS + options[:noop_jobs] + supply.added + (turn_size * turns)
      Drain.new(count) { stock.finished_count }.wait(now)
    end

    def check(stock, worker, supply)
      noops = options[:noop_jobs] + supply.added
      runs = worker.call(:Worker, :runs)
      expect_none [
        *stock.faults(noops + WARM_UP_JOBS + (turn_size * options[:repeats] * 2)),
        *("the process says #{runs} of #{noops} no-op jobs" unless runs.values.uniq == [noops])
      ]
    end

    # Of all turns together: one turn has too few for a 99th percentile.
    def figures_of(idle, busy)
      idle, busy = [idle, busy].map { |all| all.transform_values { |values| Series.new(values) } }
      p99 = busy[:start].percentile(99)
      {
        p50_ms: busy[:start].median, p99_ms: p99, idle_p50_ms: idle[:start].median, idle_p99_ms: idle[:start].percentile(99),
        ratio_p99: p99 / idle[:start].percentile(99),
        visible_p99_ms: busy[:visible].percentile(99), idle_visible_p99_ms: idle[:visible].percentile(99)
      }
    end

    def turn_size
      [options[:jobs] / options[:repeats], 1].max
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
