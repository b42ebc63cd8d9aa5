# frozen_string_literal: true

require "fileutils"
require "pg"
require "uri"
require_relative "../../spec/support/project"

module Bench
  # A Postgres server that a benchmark may stop, set up as the project's private one. It goes with the block; one whose owner was killed
  # goes with the next.
  class OwnServer
    # The shutdowns that Postgres knows, by the signals that ask for them.
    SHUTDOWNS = { fast: :INT, immediate: :QUIT }.freeze
    COMMAND = Project.path("bin/postgres").to_s
    STOP_LIMIT_S = 60

    # @yieldparam server [OwnServer] running
    def self.open
      remove_abandoned
      server = new(Process.pid)
      server.start
      yield server
    ensure
      server&.remove
    end

    def self.remove_abandoned
      Project.path("tmp").glob("postgres-own-*").each do |directory|
        owner = Integer(directory.basename.to_s[/\d+\z/])
        new(owner).remove unless File.exist?("/proc/#{owner}")
      end
    end

    # @param owner [Integer] the process whose server it is
    def initialize(owner)
      @directory = Project.path("tmp/postgres-own-#{owner}").to_s
      @environment = { "POSTGRES_DIRECTORY" => @directory, "DATABASE_URL" => nil }
    end

    # Starts it; it is where it was before, and takes connections.
    def start
      @url = IO.popen([@environment, COMMAND, "start"], &:read).chomp
      raise "the benchmark's own server did not start" if @url.empty?
    end

    # @param how [Symbol] of {SHUTDOWNS}
    def stop(how)
      pid = Integer(File.foreach("#{@directory}/data/postmaster.pid").first)
      Process.kill(SHUTDOWNS.fetch(how), pid)
      deadline = now + STOP_LIMIT_S
      while File.exist?("/proc/#{pid}")
        raise "the benchmark's own server did not stop within #{STOP_LIMIT_S} s" if now > deadline

        sleep 0.01
      end
    end

    # @return [String] the url of a new, empty database
    def create_database(name)
      connection = PG.connect(@url)
      connection.exec("CREATE DATABASE #{connection.quote_ident(name)}")
      URI(@url).tap { |uri| uri.path = "/#{name}" }.to_s
    ensure
      connection&.close
    end

    def remove
      system(@environment, COMMAND, "stop", exception: true)
      FileUtils.rm_rf(@directory)
    end

    private

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
