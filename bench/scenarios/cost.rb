# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/meter"
require_relative "../support/scenario"
require_relative "../support/stock"

module Bench
  # What a job costs the database, from its claim to its end, by the database's own counts: for jobs that do nothing and so come in large
  # batches, and for jobs that take a moment and so do not. What the worker does at its start and end is counted; looking is not.
  class Cost < Scenario
    summary "drain no-op jobs, and jobs of 10 ms; statements, commits, WAL bytes and row versions that a job costs Postgres"
    option :threads, 5, "threads of the worker"
    option :jobs, 20_000, "no-op jobs to drain", quick: 1_000
    option :sleeping_jobs, 2_000, "jobs to drain that take a moment", quick: 100
    option :duration_ms, 10, "ms that they take"
    option :repeats, 5, "turns of the two kinds", quick: 1
    goals statements_per_job: "≤ 0.1", commits_per_job: "≤ 0.1", wal_bytes_per_job: "≤ 1,500", row_versions_per_job: "≤ 3"

    private

    def measure
      Meter.open(@database) do |meter|
        puts "statements_per_job is left out: the server does not load #{Meter::EXTENSION}" unless meter.counts_statements?
        Interleaving.run(options[:repeats]) { { **noop(meter), **sleeping(meter).transform_keys { |name| :"sleeping_#{name}" } } }
      end
    end

    def noop(meter)
      cost(meter, options[:jobs], :NoopJob)
    end

    def sleeping(meter)
      cost(meter, options[:sleeping_jobs], :SleepingJob, options[:duration_ms])
    end

    def cost(meter, count, job, *arguments)
      fill(count, job, *arguments)
      looks = nil
      counts = meter.measure { looks = drain(count) }
      # Each look at how far it is was one statement, which committed.
      %i[statements commits].each { |name| counts[name] -= looks if counts[name] }
      counts.to_h { |name, number| [:"#{name}_per_job", number / count.to_f] }
    end

    def fill(count, job, *arguments)
      Stock.at(queue, @database.url) do |stock|
        stock.empty
        process { |enqueuer| stock.jobs(enqueuer, job, *arguments) }.ready(count)
        stock.vacuum
      end
    end

    # @return [Integer] how often it was looked
    def drain(count)
      Stock.at(queue, @database.url) do |stock|
        looks = 1 # for the faults
        process do |worker|
          Drain.new(count) { stock.finished_count.tap { looks += 1 } }.wait(worker.call(:Worker, :start, threads: options[:threads]))
          expect_none [*stock.faults(count), *miscounts(worker.call(:Worker, :runs), count)]
        end
        looks
      end
    end

    def miscounts(runs, count)
      runs.reject { |_what, number| number == count }.map { |what, number| "#{number} #{what} in the process, not #{count}" }
    end
  end
end
