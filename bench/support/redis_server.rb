# frozen_string_literal: true

require "fileutils"
require "socket"
require "tmpdir"
require_relative "../../bin/support/child_process"

module Bench
  # A Redis of our own, with its default settings, on a free port and in a directory that goes with it.
  class RedisServer
    NAME = "redis-server"
    # Debian has the server's program, under this name, in a package that starts no server for the whole system.
    OTHER_NAME = "redis-check-rdb"
    HOST = "127.0.0.1"
    START_LIMIT_S = 10
    LOOK_S = 0.01

    class Failed < StandardError; end

    class << self
      # @return [String, nil] nil: it is not installed
      def version
        @version ||= program && IO.popen([[program, NAME], "--version"], &:read)[/v=(\S+)/, 1]
      end

      # @return [String, nil] its path
      def program
        [NAME, OTHER_NAME].product(ENV.fetch("PATH").split(":")).map { |name, directory| File.join(directory, name) }
          .find { |path| File.executable?(path) }
      end
    end

    def start
      @directory = Dir.mktmpdir("redis")
      @port = free_port
      @child = ChildProcess.new(named_program, "--port", @port.to_s, "--bind", HOST, "--dir", @directory, out: File::NULL)
      wait_until_ready
    end

    def url
      "redis://#{HOST}:#{@port}/0"
    end

    # @return [String] the answer, as text
    def call(*command)
      IO.popen(["redis-cli", "-u", url, *command], err: File::NULL, &:read).chomp
    end

    def stop
      @child&.kill
      FileUtils.rm_rf(@directory) if @directory
    end

    private

    # What the program does depends on the name by which it is called.
    def named_program
      File.join(@directory, NAME).tap { |path| File.symlink(self.class.program, path) }
    end

    def free_port
      server = TCPServer.new(HOST, 0)
      server.addr[1]
    ensure
      server&.close
    end

    def wait_until_ready
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + START_LIMIT_S
      until call("PING") == "PONG"
        ended = !@child.alive? || Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
        raise Failed, "redis-server does not answer on port #{@port}" if ended

        sleep LOOK_S
      end
    end
  end
end
