# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/stock"
require_relative "../support/web_load"
require_relative "../support/web_server"

module Bench
  # What jobs do to the web requests of the process that they run in: Puma in the async mode answers a steady load, in turns without
  # jobs, with jobs that wait, and with jobs that calculate.
  class Web < Scenario
    WARM_UP_S = 2
    # So that there is work until the load ends: it needs a moment to begin, and the last answers may be late.
    LONGER_S = 4

    # @!attribute job [Symbol] a class of inside/
    # @!attribute abreast [Boolean] whether its threads run at once; else Ruby lets one run at a time
    Kind = Struct.new(:job, :duration_ms, :abreast)
    KINDS = { io: Kind.new(:SleepingJob, 20, true), cpu: Kind.new(:SpinningJob, 5, false) }.freeze

    summary "web requests to Puma in the async mode, with jobs that sleep and with jobs that calculate; p99, and its ratio to without"
    option :threads, 5, "threads for jobs"
    option :requests, 50, "requests a second"
    option :seconds, 10, "of load in each turn", quick: 1
    option :repeats, 5, "turns in which the three alternate", quick: 1
    goals ratio_p99_io: "≤ 1.1"

    private

    def measure
      Stock.at(queue, @database.url) do |stock|
        jobs = process { |enqueuer| KINDS.transform_values { |kind| stock.jobs(enqueuer, kind.job, kind.duration_ms) } }
        WebServer.open(@database.url, options[:threads]) { |server| compare(stock, jobs, server) }
      end
    end

    def compare(stock, jobs, server)
      load(server, WARM_UP_S)
      times = { alone: [], io: [], cpu: [] }
      done = 0
      options[:repeats].times do
        times.fetch(:alone).concat(load(server, options[:seconds]))
        KINDS.each do |name, kind|
          done += count(kind)
          times.fetch(name).concat(load_beside(stock, jobs.fetch(name), count(kind), done, server))
        end
      end
      expect_none stock.faults(done, server.runs)
      figures_of(times.transform_values { |values| Series.new(values) })
    end

    # @param done [Integer] how many jobs will have ended
    # @return [Array<Float>] ms
    def load_beside(stock, jobs, count, done, server)
      jobs.ready(count)
      times = load(server, options[:seconds])
      expect_none ["the jobs ended before the web load did"] if stock.finished_count == done
      Drain.new(done) { stock.finished_count }.wait(now)
      times
    end

    def load(server, seconds)
      WebLoad.run(server.port, per_second: options[:requests], seconds: seconds)
    end

    def count(kind)
      (options[:seconds] + LONGER_S) * 1000 / kind.duration_ms * (kind.abreast ? options[:threads] : 1)
    end

    # Of all turns together: one turn has too few for a 99th percentile.
    def figures_of(times)
      alone, with_io, with_cpu = times.values_at(:alone, :io, :cpu).map { |series| series.percentile(99) }
      {
        p50_ms: times[:alone].median, p50_io_ms: times[:io].median, p50_cpu_ms: times[:cpu].median,
        p99_ms: alone, p99_io_ms: with_io, p99_cpu_ms: with_cpu, ratio_p99_io: with_io / alone, ratio_p99_cpu: with_cpu / alone,
        answers_per_second: rate(times[:alone]), answers_per_second_io: rate(times[:io]), answers_per_second_cpu: rate(times[:cpu])
      }
    end

    def rate(series)
      series.values.size / (options[:repeats] * options[:seconds]).to_f
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
