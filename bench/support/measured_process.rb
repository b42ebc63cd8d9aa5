# frozen_string_literal: true

require "json"
require "rbconfig"
require_relative "../../bin/support/child_process"

module Bench
  # A process in which something is measured: it has loaded the application and the queue, and does what it is told, line by line. This
  # side of it is told the answers; the other side is inside.rb.
  class MeasuredProcess
    class Failed < StandardError; end

    INSIDE = File.expand_path("inside.rb", __dir__)
    ANSWER_LIMIT_S = 300
    STOP_LIMIT_S = 30
    ENDED = "the measured process ended; what it said is above"

    # @param queue [#file] see {GoodJobRs}
    # @yieldparam process [MeasuredProcess]
    # @return what the block returns
    def self.open(queue, database_url)
      process = new(queue, database_url)
      result = yield process
      process.stop
      result
    ensure
      process&.kill
    end

    def initialize(queue, database_url)
      inside_input, @input = IO.pipe
      @output, inside_output = IO.pipe
      command = [RbConfig.ruby, INSIDE, queue.file, queue.class.name]
      @child = ChildProcess.new(*command, environment: environment(queue, database_url), in: inside_input, out: inside_output)
      [inside_input, inside_output].each(&:close)
    end

    # Calls a method of a module in inside/, in the process.
    # @param receiver [Symbol] the module's name
    # @return what the method returned, after a round trip through JSON
    def call(receiver, method, **arguments)
      tell(receiver, method, **arguments)
      read
    end

    # Like {#call}, for two processes at once: the answer is read by {#read}.
    def tell(receiver, method, **arguments)
      @input.puts JSON.generate([receiver, method, arguments])
    rescue Errno::EPIPE
      raise Failed, ENDED
    end

    # @return the next answer
    def read
      # The first is that it is there. It is waited for only now, so that several processes can be loading at once.
      @there ||= read_line
      read_line.fetch(:answer)
    end

    # Ends it as an operator does.
    def stop
      @input.close
      status = @child.wait(STOP_LIMIT_S)
      raise Failed, "the measured process did not end well: #{status || "not within #{STOP_LIMIT_S} s"}" unless status&.success?
    end

    def kill
      @child.kill
    end

    # @param name [Symbol] of a signal
    def signal(name)
      Process.kill(name, @child.pid)
    end

    # @return [Integer]
    def pid
      @child.pid
    end

    private

    def environment(queue, database_url)
      settings = { "RAILS_ENV" => "production", "DATABASE_URL" => database_url, "BENCH_RAILS" => Gem.loaded_specs.fetch("railties").version.to_s }
      { **queue.environment, **ChildProcess.without_settings, **settings }
    end

    def read_line
      line = @output.wait_readable(ANSWER_LIMIT_S) ? @output.gets : raise(Failed, "no answer within #{ANSWER_LIMIT_S} s")
      raise Failed, ENDED unless line

      JSON.parse(line, symbolize_names: true)
    end
  end
end
