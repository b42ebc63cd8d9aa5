# frozen_string_literal: true

require_relative "../support/scenario"

module Bench
  # How fast one thread enqueues many jobs at once, a thousand in each call; beside Active Job's serialization of as many, which no queue
  # can do without.
  class EnqueueBulk < Scenario
    summary "enqueue many jobs at once, by the adapter's enqueue_all and whatever else there is; rows/s, and their ratio to serialization"
    option :jobs, 50_000, "jobs in each loop", quick: 2_000
    option :repeats, 5, "turns in which enqueueing and serialization alternate", quick: 1
    goals ratio_to_serialization: "≥ 0.60", perform_all_later_ratio_to_serialization: "≥ 0.60", bulk_ratio_to_serialization: "≥ 0.60"
    compares :rows_per_second

    # The way whose figures have the plain names.
    PLAIN = "enqueue_all"

    private

    def measure
      with_sides do |sides|
        Interleaving.run(options[:repeats]) { turn(sides) { |side| rates(side) } }
      end
    end

    def rates(side)
      side.process do |process|
        process.call(:BulkRate, :warm_up)
        serialization = process.call(:BulkRate, :serialize, count: count(side))
        ways = process.call(:BulkRate, :ways).to_h { |way| [way, rate(side, process, way)] }
        { serialized_per_second: serialization, **figures(ways, serialization) }
      end
    end

    def rate(side, process, way)
      side.queue.clear(side.connection)
      rate = process.call(:BulkRate, :enqueue, way: way, count: count(side))
      there = side.queue.waiting_count(side.connection)
      expect_none ["#{there} jobs are there after #{way}, not #{count(side)}"] unless there == count(side)
      rate
    end

    def figures(ways, serialization)
      ways.each_with_object({}) do |(way, rate), figures|
        prefix = "#{way}_" unless way == PLAIN
        figures.update("#{prefix}rows_per_second": rate, "#{prefix}ratio_to_serialization": rate / serialization)
      end
    end

    def count(side)
      side.queue.jobs(options[:jobs])
    end
  end
end
