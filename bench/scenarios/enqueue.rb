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
    compares :calls_per_second

    private

    def measure
      with_sides do |sides|
        figures = Interleaving.run(options[:repeats]) { turn(sides) { |side| rates(side) } }
        figures.update(costs(sides.first))
      end
    end

    def rates(side)
      with_loops(side) { |process| both { |transaction| side.queue.equal?(queue) ? compared(process, transaction) : called(process, transaction) } }
    end

    def costs(side)
      with_loops(side) { |process| both { |transaction| cost(process, transaction) } }
    end

    # Runs the block with a process that has enqueued before, and checks that every call made a job.
    def with_loops(side)
      side.queue.clear(side.connection)
      figures, expected = side.process do |process|
        process.call(:EnqueueRate, :warm_up)
        [yield(process), process.call(:EnqueueRate, :jobs)]
      end
      there = side.queue.waiting_count(side.connection)
      expect_none ["#{there} jobs are there, not #{expected}"] unless there == expected
      figures
    end

    # @return [Hash{Symbol => Float}] outside and inside of a transaction
    def both
      yield(false).merge(yield(true).transform_keys { |name| :"transaction_#{name}" })
    end

    def compared(process, transaction)
      calls = called(process, transaction)
      raw = process.call(:EnqueueRate, :raw_insert, count: options[:calls], transaction: transaction)
      { **calls, raw_inserts_per_second: raw, ratio_to_raw_insert: calls.fetch(:calls_per_second) / raw }
    end

    def called(process, transaction)
      { calls_per_second: process.call(:EnqueueRate, :enqueue, count: options[:calls], transaction: transaction) }
    end

    def cost(process, transaction)
      statements, commits = process.call(:EnqueueRate, :wire_count, count: options[:calls], transaction: transaction)
      { statements_per_call: statements / options[:calls].to_f, commits_per_call: commits / options[:calls].to_f }
    end
  end
end
