# frozen_string_literal: true

require "pg"
require_relative "../../bin/support/scratch_database"

module Bench
  # What Postgres counts of the work in a database. It looks from another one, so that its own looking is not counted; and when nobody is
  # connected any more, as sessions tell what they did at the latest when they end.
  class Meter
    EXTENSION = "pg_stat_statements"
    QUIET_LIMIT_S = 30
    LOOK_S = 0.01

    class NeverQuiet < StandardError; end

    class << self
      # @param database [ScratchDatabase] in which the work is done
      # @yieldparam meter [Meter]
      def open(database)
        ScratchDatabase.open("bench_meter") do |own|
          meter = new(database, PG.connect(own.url))
          yield meter
        ensure
          meter&.close
        end
      end
    end

    # @param outside [PG::Connection] to another database of the same server
    def initialize(database, outside)
      @database = database
      @outside = outside
      @counts_statements = preloaded?
      @outside.exec("CREATE EXTENSION #{EXTENSION}") if counts_statements?
    end

    # @return [Boolean] whether the server can tell
    def counts_statements?
      @counts_statements
    end

    # @yield does the work, and is connected to the database no longer than that
    # @return [Hash{Symbol => Integer}] how much of each there was: statements, commits, WAL bytes of the whole server, row versions
    def measure
      row_versions = settled_row_versions
      before = readings
      yield
      wait_until_quiet
      after = readings
      { **after.to_h { |name, reading| [name, reading - before.fetch(name)] }, row_versions: settled_row_versions - row_versions }
    end

    def close
      @outside.close
    end

    private

    def preloaded?
      loaded = @outside.exec("SHOW shared_preload_libraries").getvalue(0, 0).split(/\s*,\s*/).include?(EXTENSION)
      loaded && @outside.exec_params("SELECT FROM pg_available_extensions WHERE name = $1", [EXTENSION]).ntuples == 1
    end

    def readings
      readings = @outside.exec_params(<<~SQL, [@database.name]).first.transform_keys(&:to_sym).transform_values { |value| Integer(value) }
        SELECT xact_commit AS commits, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8 AS wal_bytes
        FROM pg_stat_database WHERE datname = $1
      SQL
      counts_statements? ? readings.merge(statements: statements) : readings
    end

    def statements
      Integer(@outside.exec_params(<<~SQL, [@database.name]).getvalue(0, 0))
        SELECT COALESCE(sum(calls), 0)::int8
        FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
        WHERE datname = $1
      SQL
    end

    # Of all tables: each inserted row is a version, and each updated row another.
    def settled_row_versions
      wait_until_quiet
      connection = PG.connect(@database.url)
      Integer(connection.exec("SELECT COALESCE(sum(n_tup_ins + n_tup_upd), 0)::int8 FROM pg_stat_user_tables").getvalue(0, 0))
    ensure
      connection&.close
      wait_until_quiet
    end

    def wait_until_quiet
      deadline = now + QUIET_LIMIT_S
      while sessions.positive?
        raise NeverQuiet, "somebody is still connected to #{@database.name} after #{QUIET_LIMIT_S} s" if now > deadline

        sleep LOOK_S
      end
    end

    def sessions
      Integer(@outside.exec_params(<<~SQL, [@database.name]).getvalue(0, 0))
        SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'
      SQL
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
