# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/stock"

module Bench
  # What it costs that jobs belong to a batch, and whether its callback comes once: the same no-op jobs are drained by several processes,
  # as they are and as one batch.
  class Batch < Scenario
    FINISH_LIMIT_S = 30

    summary "drain no-op jobs in several processes, without and within one batch; callbacks called, and the ratio of the two rates"
    option :processes, 3, "worker processes"
    option :threads, 5, "threads of each"
    option :jobs, 100_000, "jobs of the batch", quick: 3_000
    option :repeats, 1, "turns without and within a batch"
    goals callbacks: "≤ 1", ratio_to_noop: "≥ 0.9"

    private

    def measure
      Stock.at(queue, @database.url) do |stock|
        Interleaving.run(options[:repeats]) { compare(stock) }
      end
    end

    def compare(stock)
      plain = drained(stock, :plain)
      batched = drained(stock, :batched)
      callbacks = expect_callbacks(stock)
      { callbacks: callbacks, ratio_to_noop: batched / plain, jobs_per_second: batched, noop_jobs_per_second: plain }
    end

    # @return [Float] jobs a second
    def drained(stock, kind)
      stock.empty
      stock.connection.exec("TRUNCATE good_job_batches")
      process { |enqueuer| enqueuer.call(:Batches, kind, count: options[:jobs]) }
      stock.vacuum
      with_processes(options[:processes]) do |workers|
        workers.each { |worker| worker.call(:Worker, :run_count) }
        seconds = drain(stock, workers)
        wait_for_end(stock) if kind == :batched
        expect_once_each(stock, workers, callbacks: kind == :batched ? 1 : 0)
        options[:jobs] / seconds
      end
    end

    def with_processes(count, others = [], &block)
      return yield others if count.zero?

      process { |process| with_processes(count - 1, [*others, process], &block) }
    end

    # @return [Float] seconds
    def drain(stock, workers)
      workers.each { |worker| worker.tell(:Worker, :start, threads: options[:threads]) }
      started_at = workers.map(&:read).min
      Drain.new(options[:jobs]) { stock.finished_count }.wait(started_at)
    end

    def wait_for_end(stock)
      deadline = now + FINISH_LIMIT_S
      until count(stock, "good_job_batches WHERE finished_at IS NOT NULL") == 1
        raise Incorrect, "the batch was not finished #{FINISH_LIMIT_S} s after its last job" if now > deadline

        sleep 0.01
      end
    end

    # By the tables, and by what the processes say.
    def expect_once_each(stock, workers, callbacks:)
      runs = workers.sum { |worker| worker.call(:Worker, :run_count) }
      said = "the processes say that there were #{runs} runs, not #{options[:jobs]}" if runs != options[:jobs]
      expect_none [*stock.faults(options[:jobs] + callbacks), *said]
    end

    # One job that finished without an error, and ran once.
    def expect_callbacks(stock)
      callbacks = count(stock, "good_jobs WHERE batch_callback_id IS NOT NULL")
      runs = count(stock, "good_job_executions WHERE job_class = 'Bench::Inside::CallbackJob' AND error IS NULL")
      expect_none [("#{callbacks} callbacks, not 1" if callbacks != 1), ("#{runs} runs of callbacks, not 1" if runs != 1)].compact
      callbacks
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    def count(stock, rows)
      Integer(stock.connection.exec("SELECT count(*) FROM #{rows}").getvalue(0, 0))
    end
  end
end
