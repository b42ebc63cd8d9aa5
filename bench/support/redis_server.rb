# frozen_string_literal: true

require "fileutils"
require "socket"
require "tmpdir"
require_relative "../../bin/support/child_process"

module Bench
  # A Redis of our own, with its default settings, on a free port and in a directory that goes with it.
  class RedisServer
    HOST = "127.0.0.1"
    START_LIMIT_S = 10
    LOOK_S = 0.01

    class Failed < StandardError; end

    # @return [String, nil] nil: it is not installed
    def self.version
      @version ||= IO.popen(%w[redis-server --version], &:read)[/v=(\S+)/, 1]
    rescue Errno::ENOENT
      nil
    end

    def start
      @directory = Dir.mktmpdir("redis")
      @port = free_port
      @child = ChildProcess.new("redis-server", "--port", @port.to_s, "--bind", HOST, "--dir", @directory, out: File::NULL)
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
