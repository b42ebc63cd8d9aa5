# frozen_string_literal: true

require "pg"
require "uri"
require_relative "project"

# The server the specs use (bin/postgres, or DATABASE_URL) and the databases they make in it.
module Postgres
  module_function

  # @return [String] the url of the maintenance database
  def server_url
    @server_url ||= IO.popen([Project.path("bin/postgres").to_s, "start"], &:read).chomp.tap do |url|
      raise "bin/postgres start printed no url" if url.empty?
    end
  end

  def url(database)
    URI(server_url).tap { |uri| uri.path = "/#{database}" }.to_s
  end

  # @return [String] the url of a new database, with the queue's tables unless `tables: false`
  def create(database, tables: true)
    drop(database)
    execute(server_url, "CREATE DATABASE #{PG::Connection.quote_ident(database)}")
    migrate(url(database)) if tables
    url(database)
  end

  def drop(database)
    execute(server_url, <<~SQL, [database])
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1
    SQL
    execute(server_url, "DROP DATABASE IF EXISTS #{PG::Connection.quote_ident(database)}")
  end

  # @return [Array<String>]
  def databases
    execute(server_url, "SELECT datname FROM pg_database").map { |row| row.fetch("datname") }
  end

  def migrate(database_url)
    Project::ROOT.glob("migrations/*.up.sql").sort.each { |file| execute(database_url, file.read) }
  end

  # @return [Array<Hash>] the rows
  def execute(database_url, sql, parameters = nil)
    connection = PG.connect(database_url)
    connection.set_notice_receiver { |_notice| nil }
    (parameters ? connection.exec_params(sql, parameters) : connection.exec(sql)).to_a
  ensure
    connection&.close
  end
end
