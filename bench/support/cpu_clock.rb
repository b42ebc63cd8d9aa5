# frozen_string_literal: true

require "etc"

module Bench
  # The CPU time of processes of this machine, as Linux counts it.
  class CpuClock
    # Fields of /proc/PID/stat, after the name in brackets.
    PARENT = 1
    OWN = (11..12)
    WITH_ENDED_CHILDREN = (11..14)

    # All of a server's: those it forked, and those that have ended since.
    # @param connection [PG::Connection]
    # @return [CpuClock, nil] nil: the server is on another machine, or this one has no /proc
    def self.of_server(connection)
      parent = stat(connection.backend_pid)&.at(PARENT)
      new(Integer(parent)) if parent && name(connection.backend_pid) == name(parent) && name(parent).start_with?("postgres")
    end

    # @return [Array<String>, nil]
    def self.stat(pid)
      File.read("/proc/#{pid}/stat")[/.*\) (.*)/, 1]&.split
    rescue SystemCallError
      nil
    end

    # @return [String]
    def self.name(pid)
      File.read("/proc/#{pid}/comm").chomp
    rescue SystemCallError
      ""
    end

    # @param parent [Integer] the process that forks the others
    def initialize(parent)
      @parent = parent
    end

    # @yield works
    # @return [Float] the part of the machine's CPU time, while the block ran, that was these processes'
    def share
      started = now
      before = seconds
      yield
      (seconds - before) / (now - started) / Etc.nprocessors
    end

    private

    def seconds
      parent = self.class.stat(@parent) || raise("the server has ended")
      ticks = sum(parent, WITH_ENDED_CHILDREN) + children.sum { |child| sum(child, OWN) }
      ticks / Etc.sysconf(Etc::SC_CLK_TCK).to_f
    end

    def children
      stats = Dir.children("/proc").grep(/\A\d+\z/).filter_map { |pid| self.class.stat(pid) }
      stats.select { |stat| stat.at(PARENT) == @parent.to_s }
    end

    def sum(stat, fields)
      stat[fields].sum { |ticks| Integer(ticks) }
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
