# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/spans"
require_relative "../support/start_delays"
require_relative "../support/stock"

module Bench
  # A backlog of sleeping jobs of one concurrency key, of which so many may run at once, on two worker processes that have more threads than
  # that; beside it jobs without a limit, enqueued one by one. Compared with as many threads as there may be jobs at once, and no limit.
  class Limits < Scenario
    PROCESSES = 2

    summary "drain jobs of one key with a perform_limit in two worker processes; the ratio to as many threads without, and moments above it"
    option :jobs, 20_000, "jobs of the key", quick: 400
    option :limit, 4, "how many of them may run at once"
    option :duration_ms, 10, "how long each of them sleeps"
    option :threads, 5, "threads of each worker"
    option :others, 1_000, "jobs without a limit that are enqueued beside them", quick: 20
    option :interval_ms, 20, "ms between two of those"
    option :repeats, 1, "turns with and without a limit", quick: 1
    goals ratio_to_unlimited: "≥ 0.8", share_of_slots: "≥ 0.8", violations: "0", other_p99_ms: "≤ 25"

    private

    def measure
      Stock.at(queue, @database.url) do |stock|
        Interleaving.run(options[:repeats]) { compare(stock) }
      end
    end

    def compare(stock)
      limited, figures = drained(stock, :LimitedSpanJob, [options[:duration_ms], options[:limit]], options[:threads], others: true)
      unlimited, = drained(stock, :SpanJob, [options[:duration_ms]], options[:limit] / PROCESSES, others: false)
      { jobs_per_second: limited, unlimited_per_second: unlimited, ratio_to_unlimited: limited / unlimited,
        share_of_slots: limited * options[:duration_ms] / 1000.0 / options[:limit], **figures }
    end

    # @return [Array(Float, Hash)] jobs per second, and what else there is to say
    def drained(stock, job, arguments, threads, others:)
      stock.empty
      process do |enqueuer|
        enqueuer.call(:Spans, :enqueue, job: job, count: options[:jobs], arguments: arguments)
        stock.vacuum
        with_workers(PROCESSES) do |workers|
          seconds, delays = drain(stock, workers, threads, (enqueuer if others))
          spans = Spans.new(workers.flat_map { |worker| worker.call(:Spans, :take) })
          expect_none [*stock.faults(options[:jobs] + delays.size), *spans.faults(options[:jobs])]
          [options[:jobs] / seconds, { violations: spans.starts_above(options[:limit]), **delay_figures(delays) }]
        end
      end
    end

    # @return [Array(Float, Array<Float>)] seconds until the last job of the key had ended; ms that the others took to start
    def drain(stock, workers, threads, enqueuer)
      workers.each { |worker| worker.tell(:Worker, :start, threads: threads) }
      started_at = workers.map(&:read).min
      called_at = enqueuer ? enqueuer.call(:Enqueuing, :steadily, count: options[:others], interval_ms: options[:interval_ms]).to_h : {}
      seconds = Drain.new(options[:jobs]) { limited_finished(stock) }.wait(started_at)
      starts = workers.flat_map { |worker| worker.call(:Worker, :starts) }
      [seconds, starts.map { |job_id, at| (at - called_at.fetch(job_id)) / 1000.0 }]
    end

    def limited_finished(stock)
      Integer(stock.connection.exec("SELECT count(*) FROM good_jobs WHERE finished_at IS NOT NULL AND job_class LIKE '%SpanJob'").getvalue(0, 0))
    end

    def delay_figures(delays)
      return {} if delays.empty?

      series = Series.new(delays)
      { other_p50_ms: series.median, other_p99_ms: series.percentile(99) }
    end

    def with_workers(count, others = [], &block)
      return yield others if count.zero?

      process { |process| with_workers(count - 1, [*others, process], &block) }
    end
  end
end
