# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/start_delays"
require_relative "../support/stock"

module Bench
  # Jobs that wait for something: how much of its threads' time a worker spends in them, with short ones, longer ones, and a mixture; and
  # how long the short ones of a mixture have to wait for a thread while it is enqueued at an even pace, with and without claiming jobs
  # in advance.
  class Mixed < Scenario
    # Of ten jobs most are short, so that there is something to claim in advance, and one is long, so that it has to wait.
    MIXTURE_MS = [1, 1, 1, 10, 1, 1, 50, 1, 1, 10].freeze
    SHORT_MS = MIXTURE_MS.min
    CEILING_S = 1
    KINDS = { **MIXTURE_MS.uniq.sort.to_h { |ms| [:"efficiency_#{ms}ms", [ms]] }, efficiency: MIXTURE_MS }.freeze

    summary "sleeping jobs of 1, 10 and 50 ms and a mixture; throughput ÷ (threads ÷ duration), and the start delay of the short ones"
    option :threads, 5, "threads of the worker"
    option :seconds, 10, "how long an ideal worker takes for each", quick: 1
    option :load_percent, 70, "of the threads' time, what is enqueued where delays are measured"
    option :repeats, 5, "turns", quick: 1
    goals efficiency: "≥ 0.97", short_p99_ratio: "≤ 2"

    private

    def measure
      Stock.at(queue, @database.url) do |stock|
        jobs = process { |enqueuer| MIXTURE_MS.uniq.to_h { |ms| [ms, stock.jobs(enqueuer, :SleepingJob, ms)] } }
        delays = Hash.new { |all, prefetch| all[prefetch] = [] }
        figures = Interleaving.run(options[:repeats]) do
          ways.each { |prefetch| delays[prefetch].concat(short_delays(stock, prefetch)) }
          KINDS.map { |name, mixture| efficiencies(stock, jobs, name, mixture) }.inject(:merge)
        end
        figures.merge(delay_figures(delays))
      end
    end

    # @return [Array<Boolean>] with and without prefetch, as far as the queue has the choice
    def ways
      return [true, false] if queue.prefetch_optional?

      warn "bin/bench mixed: there is no short_p99_ratio, since the worker cannot be told to claim nothing in advance"
      [true]
    end

    # --- Throughput

    # @return [Hash{Symbol => Float}] the worker's, and that of as many threads without a queue
    def efficiencies(stock, jobs, name, mixture)
      counts = counts_of(mixture)
      fill(stock, jobs, counts)
      ideal_s = counts.sum { |ms, number| ms * number } / 1000.0 / options[:threads]
      process do |worker|
        ceiling = worker.call(:ThreadCeiling, :measure, durations_ms: mixture, threads: options[:threads], seconds: CEILING_S)
        efficiency = ideal_s / drained_s(stock, worker, counts.values.sum)
        { name => efficiency, "#{name}_ceiling": ceiling }
      end
    end

    # @return [Float] seconds
    def drained_s(stock, worker, count)
      started_at = worker.call(:Worker, :start, threads: options[:threads])
      seconds = Drain.new(count) { stock.finished_count }.wait(started_at)
      expect_none stock.faults(count, worker.call(:Worker, :runs))
      seconds
    end

    # @return [Hash{Integer => Integer}] how many jobs of which duration
    def counts_of(mixture)
      rounds = [options[:seconds] * options[:threads] * 1000 / mixture.sum, 1].max
      mixture.tally.transform_values { |number| number * rounds }
    end

    def fill(stock, jobs, counts)
      stock.empty
      stock.transaction { counts.each { |ms, number| jobs.fetch(ms).ready(number) } }
      stock.vacuum
    end

    # --- The delay of the short ones

    # @return [Array<Float>] ms
    def short_delays(stock, prefetch)
      stock.empty
      process do |worker|
        process { |enqueuer| short_delays_between(enqueuer, worker, prefetch) }.tap do
          Drain.new(enqueued) { stock.finished_count }.wait(now)
          expect_none stock.faults(enqueued)
        end
      end
    end

    def short_delays_between(enqueuer, worker, prefetch)
      worker.call(:Worker, :start_idle, threads: options[:threads], **(prefetch ? {} : { prefetch: false }))
      jobs = MIXTURE_MS.map { |ms| [ms == SHORT_MS ? :TimedSleepingJob : :SleepingJob, ms] }
      calls = enqueuer.call(:Trickle, :run, jobs: jobs, count: enqueued, interval_ms: interval_ms)
      short = calls.select { |_job_id, _called_at, index| MIXTURE_MS.fetch(index) == SHORT_MS }
      StartDelays.new(worker).since(short.to_h { |job_id, called_at, _index| [job_id, called_at] }).values
    end

    def interval_ms
      MIXTURE_MS.sum.fdiv(MIXTURE_MS.size) / options[:threads] / (options[:load_percent] / 100.0)
    end

    def enqueued
      (options[:seconds] * 1000 / interval_ms).ceil
    end

    def delay_figures(delays)
      p99 = delays.transform_values { |values| Series.new(values).percentile(99) }
      figures = { short_p50_ms: Series.new(delays.fetch(true)).median, short_p99_ms: p99.fetch(true) }
      figures.update(short_p99_ratio: p99[true] / p99[false], short_p99_without_prefetch_ms: p99[false]) if p99.key?(false)
      figures
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
