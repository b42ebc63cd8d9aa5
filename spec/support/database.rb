# frozen_string_literal: true

require "active_record"
require_relative "postgres"

# The database of this run of the specs: made from migrations/ before the first example that is tagged `:database`, emptied before
# each of them, dropped at the end. Other processes reach it by `SpecDatabase.url`.
module SpecDatabase
  # Two runs at once have one each.
  NAME = "good_job_rs_spec_#{Process.pid}".freeze
  POOL_SIZE = 20
  TABLES = %w[good_jobs good_job_batches good_job_executions good_job_processes good_job_settings].freeze

  module_function

  def url
    @url ||= create
  end

  # With connections for the examples that run jobs on threads.
  def connect
    ActiveRecord::Base.establish_connection("#{url}?pool=#{POOL_SIZE}")
  end

  def clear
    ActiveRecord::Base.connection.execute(TABLES.map { |table| "DELETE FROM #{table};" }.join)
  end

  # Ends the runtimes' sessions, and lets nobody connect until the end of the block. Who else is connected stays so.
  def closed
    allow_connections(false)
    Postgres.execute(Postgres.server_url, <<~SQL, [NAME])
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'GoodJob'
    SQL
    yield
  ensure
    allow_connections(true)
  end

  # How many jobs' own advisory locks are held, by whomever.
  def held_job_locks
    Postgres.execute(url, <<~SQL).first.fetch("count").to_i
      SELECT count(*)
      FROM pg_locks
      JOIN good_jobs ON (classid::int8 << 32 | objid::int8) = ('x' || substr(md5('good_jobs-' || good_jobs.id::text), 1, 16))::bit(64)::int8
      WHERE locktype = 'advisory' AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    SQL
  end

  def allow_connections(allowed)
    Postgres.execute(Postgres.server_url, "ALTER DATABASE #{NAME} ALLOW_CONNECTIONS #{allowed}")
  end

  def drop
    Postgres.drop(NAME) if Process.pid == @owner_pid
  end

  def create
    @owner_pid = Process.pid
    drop_abandoned
    Postgres.create(NAME)
  end

  # Of runs that were killed.
  def drop_abandoned
    Postgres.databases.grep(/\Agood_job_rs_spec_\d+\z/).each { |name| Postgres.drop(name) unless alive?(Integer(name[/\d+/])) }
  end

  def alive?(pid)
    Process.kill(0, pid)
    true
  rescue Errno::EPERM
    true
  rescue Errno::ESRCH
    false
  end
end

RSpec.configure do |config|
  config.before(:each, :database) do
    SpecDatabase.connect unless ActiveRecord::Base.connected?
    SpecDatabase.clear
  end

  config.after(:suite) do
    ActiveRecord::Base.connection_handler.clear_all_connections! if ActiveRecord::Base.connected?
    SpecDatabase.drop
  end
end
