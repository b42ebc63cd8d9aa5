# frozen_string_literal: true

require "tempfile"
require_relative "../../bin/support/child_process"
require_relative "wait_until"

# A process that an example starts, watches by what it prints, and sends signals to. Its group ends with the example.
class ObservedProcess
  include WaitUntil

  class StillRunning < StandardError; end
  class Ended < StandardError; end

  # @return [String] what a failure calls it
  attr_reader :name

  def initialize(*command, environment:, directory:)
    @name = command.join(" ")[0, 80]
    @log = Tempfile.new("observed_process")
    @child = ChildProcess.new(*command, environment: environment, chdir: directory.to_s, in: File::NULL, %i[out err] => @log.path)
  end

  def pid
    @child.pid
  end

  def alive?
    @child.alive?
  end

  # So that nobody waits for what an ended process will not do.
  def expect_alive
    raise Ended, "#{name} has ended: #{@child.wait(1)}" unless alive?
  end

  # @return [Array<Integer>] of the processes that it has forked and that live
  def children
    File.read("/proc/#{pid}/task/#{pid}/children").split.map { |child| Integer(child) }
  end

  # @return [Array<String>] names of its threads as the system sees them, Ruby's and others; the system keeps 15 characters
  def threads
    Dir["/proc/#{pid}/task/*/comm"].map { |file| File.read(file).chomp }
  end

  # @return [String] everything it has printed so far
  def output
    File.read(@log.path)
  end

  # @return [MatchData]
  def wait_for_output(pattern, limit_seconds: 30)
    wait_until("#{name} to print #{pattern.inspect}", limit_seconds: limit_seconds) do
      alive = alive?
      output.match(pattern) || (expect_alive unless alive)
    end
  end

  def signal(signal_name)
    Process.kill(signal_name, pid)
  end

  # @return [Process::Status]
  def wait(limit_seconds = 30)
    @child.wait(limit_seconds) || raise(StillRunning, "#{name} has not ended within #{limit_seconds} s")
  end

  # Ends it as an operator does.
  # @return [Process::Status]
  def stop
    signal(:TERM)
    wait
  end

  # Ends it and all that it has forked, as a power failure does.
  def kill
    @child.kill
  end

  def remove
    kill
    @log.close!
  end
end
