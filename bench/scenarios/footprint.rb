# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/stock"

module Bench
  # What a worker takes beside its jobs: connections to Postgres, memory over that of the same application without a worker, and how much
  # more memory it has after many jobs than after some.
  class Footprint < Scenario
    summary "a worker with many threads at its start, after some jobs and after many; connections, memory over the application's, growth"
    option :threads, 25, "threads of the worker"
    option :some_jobs, 50_000, "jobs after which growth is counted", quick: 500
    option :many_jobs, 500_000, "jobs until which it is", quick: 2_000
    option :repeats, 1, "workers, each beside an application without"
    goals connections: "≤ 3", rss_overhead_mb: "≤ 12", growth: "≤ 0.05"

    # At most so many jobs wait at once: what grows is to be the process, not the table.
    SLICE = 50_000

    private

    def measure
      Stock.at(queue, @database.url) do |stock|
        @stock = stock
        @jobs = process { |enqueuer| stock.jobs(enqueuer, :CountedJob) }
        Interleaving.run(options[:repeats]) { figures_of(without_worker, with_worker) }
      end
    end

    def figures_of(application, worker)
      {
        connections: worker.fetch(:connections) - application.fetch(:connections),
        rss_overhead_mb: worker.fetch(:start) - application.fetch(:start),
        busy_rss_overhead_mb: worker.fetch(:some) - application.fetch(:some),
        growth: (worker.fetch(:many) / worker.fetch(:some)) - 1,
        rss_start_mb: worker.fetch(:start), rss_some_mb: worker.fetch(:some), rss_many_mb: worker.fetch(:many)
      }
    end

    # The application alone, and after it has run as many jobs without a queue.
    def without_worker
      process do |application|
        start = memory(application)
        connections = session_count
        application.call(:CountedJobs, :execute, count: options[:some_jobs])
        { start: start, connections: connections, some: memory(application) }
      end
    end

    def with_worker
      @stock.empty
      process do |worker|
        worker.call(:Worker, :start_idle, threads: options[:threads])
        start = memory(worker)
        work_through(worker, 0, options[:some_jobs])
        some = memory(worker)
        connections = session_count
        work_through(worker, options[:some_jobs], options[:many_jobs])
        { start: start, some: some, many: memory(worker), connections: connections }
      end
    end

    # Runs jobs until it has been so many, and checks that they were.
    def work_through(worker, from, to)
      from.step(to - 1, SLICE) do |ran|
        count = [SLICE, to - ran].min
        @jobs.ready(count)
        Drain.new(ran + count) { @stock.finished_count }.wait(Process.clock_gettime(Process::CLOCK_MONOTONIC))
      end
      counted = worker.call(:CountedJobs, :count)
      expect_none [*@stock.faults(to), *("#{counted} runs in the process, not #{to}" unless counted == to)]
    end

    def memory(process)
      process.call(:Memory, :resident_mb)
    end

    # @return [Integer] how many there are to the queue's database, but for ours
    def session_count
      Integer(@stock.connection.exec(<<~SQL).getvalue(0, 0))
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
      SQL
    end
  end
end
