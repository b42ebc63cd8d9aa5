# frozen_string_literal: true

require_relative "../support/scenario"

module Bench
  # How fast one thread enqueues, each call committing by itself and all calls in one transaction; beside the least that an enqueue can
  # be: Active Job's serialization and one raw INSERT on the same connection.
  class Enqueue < Scenario
    summary "perform_later in a loop, outside and inside of a transaction; calls/s, and their ratio to serialization plus a raw INSERT"
    option :calls, 1_000, "calls in each loop", quick: 50
    option :repeats, 5, "turns in which perform_later and raw INSERT alternate", quick: 1
    goals ratio_to_raw_insert: "≥ 0.80", transaction_ratio_to_raw_insert: "≥ 0.80",
          statements_per_call: "1", transaction_statements_per_call: "1", commits_per_call: "≤ 1", transaction_commits_per_call: "≤ 1"

    private

    def measure
      process do |process|
        warm_ups = process.call(:EnqueueRate, :warm_up)
        figures = Interleaving.run(options[:repeats]) { both { |transaction| turn(process, transaction) } }
        figures.update(both { |transaction| cost(process, transaction) })
        check(warm_ups)
        figures
      end
    end

    # @return [Hash{Symbol => Float}] outside and inside of a transaction
    def both
      yield(false).merge(yield(true).transform_keys { |name| :"transaction_#{name}" })
    end

    def turn(process, transaction)
      calls, raw = %i[enqueue raw_insert].map { |what| process.call(:EnqueueRate, what, count: options[:calls], transaction: transaction) }
      { calls_per_second: calls, raw_inserts_per_second: raw, ratio_to_raw_insert: calls / raw }
    end

    def cost(process, transaction)
      statements, commits = process.call(:EnqueueRate, :wire_count, count: options[:calls], transaction: transaction)
      { statements_per_call: statements / options[:calls].to_f, commits_per_call: commits / options[:calls].to_f }
    end

    # Per repeat one loop of each kind outside and inside of a transaction, and the calls whose cost was counted.
    def check(warm_ups)
      expected = warm_ups + (options[:calls] * ((options[:repeats] * 4) + 2))
      connection = PG.connect(@database.url)
      there = queue.waiting_count(connection)
      expect_none ["#{there} jobs are in the table, not #{expected}"] unless there == expected
    ensure
      connection&.close
    end
  end
end
