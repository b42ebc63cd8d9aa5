# frozen_string_literal: true

require_relative "../support/scenario"
require_relative "../support/stock"

module Bench
  # Whether every tick of every cron entry is enqueued, and once: entries of every second, in several processes that all enqueue them. One
  # after the other of the processes is killed and started anew meanwhile, as in a deploy; the graceful period covers what it misses.
  class Cron < Scenario
    # A tick may be on its way when counting begins and ends.
    EDGE_S = 2
    LATE_LIMIT_S = 10

    summary "cron entries of every second in several processes, one of which is always being restarted; ticks missed and duplicated"
    option :processes, 3, "worker processes"
    option :entries, 10, "cron entries", quick: 3
    option :seconds, 60, "how long", quick: 6
    goals missed: "≤ 0", duplicated: "≤ 0"

    private

    def measure
      Stock.at(queue, @database.url) do |stock|
        processes = Array.new(options[:processes]) { start }
        first, last = watch(processes)
        wait_for_last(stock, last)
        ticks = ticks(stock, first, last)
        processes.each(&:stop)
        figures(stock, ticks, first, last)
      ensure
        processes&.each(&:kill)
      end
    end

    def start
      MeasuredProcess.new(queue, @database.url).tap { |process| process.call(:CronJobs, :start, entries: options[:entries]) }
    end

    # @return [Array<Integer>] the first second and the last that are counted, since the Unix epoch
    def watch(processes)
      first = Time.now.to_i + EDGE_S
      sleep EDGE_S
      until Time.now.to_i >= first + options[:seconds]
        processes.shift.kill
        processes << start
      end
      [first, Time.now.to_i - 1]
    end

    def wait_for_last(stock, last)
      deadline = Time.now.to_i + LATE_LIMIT_S
      sleep 0.1 until ticks(stock, last, last).size >= options[:entries] || Time.now.to_i > deadline
    end

    # @return [Array<Array(String, Integer)>] key and second of each job, in any number
    def ticks(stock, first, last)
      stock.connection.exec_params(<<~SQL, [first, last]).map { |row| [row.fetch("cron_key"), Integer(row.fetch("second"))] }
        SELECT cron_key, extract(epoch FROM cron_at)::int8 AS second
        FROM good_jobs
        WHERE cron_key IS NOT NULL AND extract(epoch FROM cron_at) BETWEEN $1::int8 AND $2::int8
      SQL
    end

    def figures(stock, ticks, first, last)
      expected = options[:entries] * (last - first + 1)
      executions = Integer(stock.connection.exec(<<~SQL).getvalue(0, 0))
        SELECT count(*) FROM good_jobs WHERE cron_key IS NOT NULL AND executions_count > 1 AND error_event IS DISTINCT FROM 0
      SQL
      { ticks: expected, missed: expected - ticks.uniq.size, duplicated: ticks.size - ticks.uniq.size, run_again: executions }
    end
  end
end
