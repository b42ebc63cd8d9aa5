# frozen_string_literal: true

require "pg"
require_relative "many_jobs"

module Bench
  # A database with the queue's tables, and what is done to them from outside while processes work on them.
  class Stock
    attr_reader :url, :connection

    class << self
      # @param queue [GoodJobRs] the tables are its own
      # @yieldparam stock [Stock]
      def at(queue, url)
        stock = new(queue, url)
        yield stock
      ensure
        stock&.close
      end

      # One in a database of its own, with empty tables.
      # @param kind [String] see {ScratchDatabase.open}
      def open(queue, kind, &block)
        ScratchDatabase.open(kind) do |database|
          queue.create_tables(database.url)
          at(queue, database.url, &block)
        end
      end
    end

    def initialize(queue, url)
      @queue = queue
      @url = url
      @connection = PG.connect(url)
      @connection.exec("SET TimeZone TO 'UTC'")
    end

    # @param process [MeasuredProcess] has the application loaded
    # @param job [Symbol] a job class of inside/
    # @return [ManyJobs]
    def jobs(process, job, *arguments)
      ManyJobs.of(@connection, process.call(:Sample, :enqueue, job: job, arguments: arguments))
    end

    def transaction(&block)
      @connection.transaction(&block)
    end

    def empty
      @connection.exec("TRUNCATE good_jobs, good_job_executions, good_job_processes")
    end

    # Takes out the jobs that have ended.
    def clear_ended
      @connection.exec("DELETE FROM good_jobs WHERE finished_at IS NOT NULL")
      @connection.exec("TRUNCATE good_job_executions, good_job_processes")
    end

    # As autovacuum would, but now, and not while something is measured.
    def vacuum
      @connection.exec("VACUUM (ANALYZE) good_jobs, good_job_executions")
    end

    def finished_count
      @queue.finished_count(@connection)
    end

    # @param runs [Hash, nil] what the worker's process says, see {Inside::Worker.runs}
    # @return [Array<String>] what is wrong after so many jobs ran once each
    def faults(count, runs = nil)
      said = "the process says #{runs}, not #{count}" if runs && runs.values.uniq != [count]
      [*@queue.faults(@connection, count), *said]
    end

    def close
      @connection.close
    end
  end
end
