# frozen_string_literal: true

require "pg"
require_relative "measured_process"

module Bench
  # A queue that takes part in a comparison: with its tables in a database of its own, and its own processes.
  class Side
    attr_reader :queue, :connection

    # @param queue [#file] see {GoodJobRs}
    # @param database_url [String] of the database in which its tables are
    def initialize(queue, database_url)
      @queue = queue
      @database_url = database_url
      @connection = PG.connect(database_url)
    end

    # Runs the block with a new process in which the application and the queue are loaded.
    def process(&block)
      MeasuredProcess.open(queue, @database_url, &block)
    end

    # @param process [MeasuredProcess] the worker's
    # @return [Integer] how many jobs have ended
    def finished_count(process)
      queue.finished_count(connection) { process.call(:Worker, :run_count) }
    end

    def close
      connection.close
    end
  end
end
