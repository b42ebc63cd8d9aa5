# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"
require_relative "../support/stock"
require_relative "../support/supply"

module Bench
  # What a session does to the queue that keeps a transaction open, as a long report or pg_dump does: nothing that its snapshot may see
  # can be cleaned away, so a claim has ever more of what is finished to step over. The worker is kept busy meanwhile.
  class HeldSnapshot < Scenario
    WINDOW_MAX_S = 30
    # Enough that the worker never waits, and few enough to be no backlog.
    WAITING = 3_000
    CLAIMED_AT_ONCE = 50
    WARM_UP_S = 3

    summary "a busy worker while another session holds a snapshot; throughput of the last 30 s ÷ the first, and the pages a claim reads"
    option :threads, 5, "threads of the worker"
    option :seconds, 180, "how long the snapshot is held", quick: 6
    option :repeats, 1, "times", quick: 1
    goals ratio: "≥ 0.90", claim_buffers: "bounded"

    private

    def measure
      Stock.at(queue, @database.url) do |stock|
        process do |onlooker|
          jobs = stock.jobs(onlooker, :TallyJob)
          Interleaving.run(options[:repeats]) do
            without = process { |worker| work(stock, filled(stock, jobs), worker, &:call) }
            with = process { |worker| hold(stock, filled(stock, jobs), worker, onlooker) }
            { **with, ratio_without: without.fetch(:ratio) }
          end
        end
      end
    end

    # With jobs in the table before it is analyzed: statistics of an empty one would be no production's.
    def filled(stock, jobs)
      stock.empty
      Supply.new(jobs).tap do |supply|
        supply.add(WAITING)
        stock.vacuum
      end
    end

    def hold(stock, supply, worker, onlooker)
      before = after = nil
      rates = work(stock, supply, worker) do |measured|
        before = buffers(onlooker)
        with_snapshot { measured.call.tap { after = buffers(onlooker) } }
      end
      { **rates, **after, claim_buffers_before: before.fetch(:claim_buffers) }
    end

    # @yieldparam measured [#call] the time that is measured
    # @yieldreturn [Array<String>] what it returns
    def work(stock, supply, worker)
      worker.call(:Worker, :start_idle, threads: options[:threads])
      keep_busy(supply, worker, WARM_UP_S)
      times = yield(-> { [time(stock), keep_busy(supply, worker, options[:seconds]), time(stock)].values_at(0, 2) })
      Drain.new(supply.added) { stock.finished_count }.wait(now)
      check(stock, supply, worker)
      rates(stock, *times)
    end

    # Of a claim as the worker makes it again and again, and of one from the start of the index, which it makes now and then.
    def buffers(onlooker)
      from_start = onlooker.call(:Claim, :buffers, jobs: CLAIMED_AT_ONCE)
      { claim_buffers: onlooker.call(:Claim, :onward_buffers, jobs: CLAIMED_AT_ONCE) || from_start, claim_from_start_buffers: from_start }
    end

    def keep_busy(supply, worker, seconds)
      supply.keep(WAITING, ->(elapsed_s) { elapsed_s < seconds }) { worker.call(:Tally, :count) }
    end

    # Another session takes a snapshot, and keeps it.
    def with_snapshot
      connection = PG.connect(@database.url)
      connection.exec("BEGIN ISOLATION LEVEL REPEATABLE READ")
      connection.exec("SELECT count(*) FROM good_jobs WHERE finished_at IS NULL")
      yield
    ensure
      connection&.close
    end

    def check(stock, supply, worker)
      runs = worker.call(:Tally, :count)
      expect_none [*stock.faults(supply.added), *("the process says #{runs} runs, not #{supply.added}" unless runs == supply.added)]
    end

    # By the times in the tables, so that nothing has to be counted meanwhile.
    def rates(stock, started, ended)
      first = rate(stock, started, "+ interval '0 s'")
      last = rate(stock, ended, "- interval '#{window_s} s'")
      { first_per_second: first, last_per_second: last, ratio: last / first }
    end

    def rate(stock, time, offset)
      connection = stock.connection
      Integer(connection.exec_params(<<~SQL, [time]).getvalue(0, 0)) / window_s
        SELECT count(*) FROM good_jobs
        WHERE finished_at >= $1::timestamp #{offset} AND finished_at < $1::timestamp #{offset} + interval '#{window_s} s'
      SQL
    end

    def window_s
      [WINDOW_MAX_S, options[:seconds] / 3.0].min.to_f
    end

    def time(stock)
      stock.connection.exec("SELECT clock_timestamp()::timestamp").getvalue(0, 0)
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
