# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/start_delays"
require_relative "../support/stock"

module Bench
  # Whether a million jobs of the future cost anything: the same no-op jobs are drained with and without them; then the worker has
  # nothing to do but to wait for them; then some come due.
  class Scheduled < Scenario
    # Longer than enqueueing those takes that are due before the last is enqueued.
    LEAD_MS = 2_000

    summary "drain no-op jobs beside 1,000,000 future ones; ratio to without them, an idle worker's statements, how late due jobs start"
    option :threads, 5, "threads of the worker"
    option :jobs, 20_000, "jobs to drain", quick: 500
    option :rows, 1_000_000, "jobs of the future", quick: 5_000
    option :due, 500, "jobs that come due", quick: 20
    option :interval_ms, 20, "ms between two of them"
    option :settle_s, 12, "seconds until Postgres has counted what came before: a session reports every 10 s at least", quick: 1
    option :idle_s, 60, "seconds in which an idle worker's statements are counted", quick: 2
    option :repeats, 5, "turns in which with and without alternate", quick: 1
    goals ratio: "≥ 0.97", idle_statements_per_second: "≤ 1", lateness_p99_ms: "≤ 200"

    private

    def measure
      Stock.at(queue, @database.url) do |without|
        Stock.open(queue, "bench_future") do |with|
          noops = [with, without].to_h { |stock| [stock, process(stock.url) { |enqueuer| stock.jobs(enqueuer, :NoopJob) }] }
          noops.fetch(with).future(options[:rows])
          figures = Interleaving.run(options[:repeats]) { compare(*noops.map { |stock, jobs| drained(stock, jobs) }) }
          figures.merge(idle_and_due(with))
        end
      end
    end

    def compare(with, without)
      { jobs_per_second: with, jobs_per_second_without: without, ratio: with / without }
    end

    # @return [Float] jobs per second
    def drained(stock, jobs)
      stock.clear_ended
      jobs.ready(options[:jobs])
      stock.vacuum
      process(stock.url) do |worker|
        started_at = worker.call(:Worker, :start, threads: options[:threads])
        seconds = Drain.new(options[:jobs]) { stock.finished_count }.wait(started_at)
        expect_none stock.faults(options[:jobs], worker.call(:Worker, :runs))
        options[:jobs] / seconds
      end
    end

    def idle_and_due(stock)
      stock.clear_ended
      stock.vacuum
      process(stock.url) do |worker|
        worker.call(:Worker, :start_idle, threads: options[:threads])
        idle = idle_statements_per_second(stock)
        lateness = Series.new(process(stock.url) { |enqueuer| lateness_ms(enqueuer, worker) })
        Drain.new(options[:due]) { stock.finished_count }.wait(now)
        expect_none stock.faults(options[:due])
        { idle_statements_per_second: idle, lateness_p50_ms: lateness.median, lateness_p99_ms: lateness.percentile(99) }
      end
    end

    # The worker's transactions have one statement each. Autovacuum's are among them, a few in a minute.
    def idle_statements_per_second(stock)
      server = PG.connect(Postgres.server_url)
      sleep options[:settle_s]
      before = transactions(server, stock)
      sleep options[:idle_s]
      (transactions(server, stock) - before) / options[:idle_s].to_f
    ensure
      server&.close
    end

    # Asked in another database, so that asking is not counted.
    def transactions(server, stock)
      Integer(server.exec_params(<<~SQL, [stock.connection.db]).getvalue(0, 0))
        SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1
      SQL
    end

    # @return [Array<Float>] ms from the time for which a job was scheduled to its first line
    def lateness_ms(enqueuer, worker)
      due = enqueuer.call(:Schedule, :run, count: options[:due], interval_ms: options[:interval_ms], lead_ms: LEAD_MS)
      late = StartDelays.new(worker).since(due.to_h).values
      expect_none ["#{late.count(&:negative?)} jobs started before they were due"] if late.any?(&:negative?)
      late
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
