# frozen_string_literal: true

require_relative "../support/cpu_clock"
require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/stock"

module Bench
  # Whether a second worker process helps: the same no-op jobs are drained by one and by two. Beside it the part of the machine that
  # Postgres took, since where it is on the same machine it is Postgres that leaves nothing for a second process.
  class Processes < Scenario
    summary "drain ready no-op jobs in one and in two worker processes; how the second scales, and Postgres' part of the CPUs"
    option :threads, 5, "threads of each worker"
    option :jobs, 20_000, "jobs to drain", quick: 1_000
    option :repeats, 5, "turns of one and of two processes", quick: 1

    private

    def measure
      Stock.at(queue, @database.url) do |stock|
        jobs = process { |enqueuer| stock.jobs(enqueuer, :NoopJob) }
        clock = CpuClock.of_server(stock.connection)
        puts "postgres_share is left out: the server is not on this machine" unless clock
        Interleaving.run(options[:repeats]) { compare(stock, jobs, clock) }
      end
    end

    def compare(stock, jobs, clock)
      one, two = [1, 2].map { |workers| drained(stock, jobs, clock, workers) }
      { scaling: two.fetch(:jobs_per_second) / one.fetch(:jobs_per_second),
        **one.transform_keys { |name| :"one_#{name}" }, **two.transform_keys { |name| :"two_#{name}" } }
    end

    # @return [Hash{Symbol => Float}]
    def drained(stock, jobs, clock, count)
      stock.empty
      jobs.ready(options[:jobs])
      stock.vacuum
      with_processes(count) do |workers|
        # All are loaded before any starts.
        workers.each { |worker| worker.call(:Worker, :run_count) }
        seconds = nil
        share = measured_by(clock) { seconds = drain(stock, workers) }
        check(stock, workers)
        { jobs_per_second: options[:jobs] / seconds, postgres_share: share }.compact
      end
    end

    # Runs the block with so many new processes.
    def with_processes(count, others = [], &block)
      return yield others if count.zero?

      process { |process| with_processes(count - 1, [*others, process], &block) }
    end

    # @return [Float, nil]
    def measured_by(clock, &block)
      return clock.share(&block) if clock

      yield
      nil
    end

    # @return [Float] seconds
    def drain(stock, workers)
      workers.each { |worker| worker.tell(:Worker, :start, threads: options[:threads]) }
      started_at = workers.map(&:read).min
      Drain.new(options[:jobs]) { stock.finished_count }.wait(started_at)
    end

    # A job that ran in both processes is counted in both.
    def check(stock, workers)
      runs = workers.map { |worker| worker.call(:Worker, :runs) }
      said = %i[runs jobs].to_h { |what| [what, runs.sum { |counts| counts.fetch(what) }] }
      wrong = said.reject { |_what, number| number == options[:jobs] }
      expect_none [*stock.faults(options[:jobs]), *wrong.map { |what, number| "#{number} #{what} in the processes, not #{options[:jobs]}" }]
    end
  end
end
