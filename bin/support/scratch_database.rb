# frozen_string_literal: true

require "pg"
require_relative "../../spec/support/postgres"

# A database that exists as long as this process works in it: made from nothing, dropped at the end; if that could not be, dropped by
# the next one of its kind. Two processes at once have one each.
class ScratchDatabase
  PREFIX = "good_job_rs_"

  attr_reader :name

  # @param kind [String] what it is for
  # @yieldparam database [ScratchDatabase]
  # @return what the block returns
  def self.open(kind)
    database = new(kind)
    database.create
    yield database
  ensure
    database&.drop
  end

  # @param kind [String]
  def initialize(kind)
    @kind = kind
    @name = "#{PREFIX}#{kind}_#{Process.pid}"
    @owner = PG.connect(Postgres.server_url)
  end

  # @return [String]
  def url
    Postgres.url(@name)
  end

  # Holding its name's lock is what tells a database in use from an abandoned one; the server gives the lock up with the connection.
  def create
    drop_abandoned
    raise "the database #{@name} is in use" unless lock(@name)

    Postgres.create(@name, tables: false)
  end

  def drop
    Postgres.drop(@name)
    @owner.close
  end

  private

  def drop_abandoned
    left = Postgres.databases.grep(/\A#{PREFIX}#{@kind}_\d+\z/)
    left.select { |name| lock(name) }.each do |name|
      Postgres.drop(name)
      unlock(name)
    end
  end

  def lock(name)
    ask("SELECT pg_try_advisory_lock(hashtext($1))", name)
  end

  def unlock(name)
    ask("SELECT pg_advisory_unlock(hashtext($1))", name)
  end

  def ask(sql, name)
    @owner.exec_params(sql, [name]).getvalue(0, 0) == "t"
  end
end
