# frozen_string_literal: true

require "pg"
require_relative "measured_process"
require_relative "peer"

module Bench
  # A peer whose jobs are rows in Postgres. It says which tables they are in; a job has ended when it is in none that says it has not.
  class PostgresPeer < Peer
    # More than the threads of any worker: Active Record's default of 5 would be the limit otherwise.
    POOL_SIZE = 50

    # @return [Array<String>] the tables that hold jobs that wait
    def tables
      raise NotImplementedError
    end

    # @return [String] SQL: how many jobs have not ended
    def waiting_sql
      raise NotImplementedError
    end

    # @return [String] SQL: one job's payload, in the queue's own form
    def payload_sql
      raise NotImplementedError
    end

    def jobs(count)
      (count / 10.0).ceil
    end

    # --- The tables

    # By its own generators, which are in its process.
    def create_tables(database_url)
      MeasuredProcess.open(self, database_url) { |process| process.call(:Tables, :create) }
    end

    def keep(connection)
      tables.each { |table| connection.exec("CREATE TABLE bench_ready_#{table} AS TABLE #{table}") }
      @kept = waiting_count(connection)
    end

    def restore(connection)
      clear(connection)
      tables.each { |table| connection.exec("INSERT INTO #{table} TABLE bench_ready_#{table}") }
      connection.exec("VACUUM (ANALYZE) #{tables.join(", ")}")
    end

    def clear(connection)
      connection.exec("TRUNCATE #{tables.join(", ")} CASCADE")
    end

    def payload(connection)
      payload_of(connection.exec(payload_sql).getvalue(0, 0))
    end

    def waiting_count(connection)
      Integer(connection.exec(waiting_sql).getvalue(0, 0))
    end

    def finished_count(connection)
      @kept - waiting_count(connection)
    end

    def faults(connection, _count)
      left = waiting_count(connection)
      left.zero? ? [] : ["#{left} jobs are left in the tables of #{name}"]
    end

    # --- Inside the measured process

    def configure(application)
      application.config.after_initialize { ActiveRecord::Base.establish_connection(url: ENV.fetch("DATABASE_URL"), pool: POOL_SIZE) }
    end

    # Makes the tables in the database that the process is connected to.
    def install
      raise NotImplementedError
    end

    private

    def payload_of(stored)
      stored
    end
  end
end
