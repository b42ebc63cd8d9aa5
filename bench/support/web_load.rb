# frozen_string_literal: true

require "json"
require "rbconfig"
require_relative "../../bin/support/child_process"
require_relative "measured_process"

module Bench
  # A steady web load, from a process of its own.
  class WebLoad
    class Failed < MeasuredProcess::Failed; end

    SCRIPT = File.expand_path("web_load/visitors.rb", __dir__)

    # @param port [Integer]
    # @return [Array<Float>] ms of each request
    def self.run(port, per_second:, seconds:)
      output, input = IO.pipe
      child = ChildProcess.new(RbConfig.ruby, SCRIPT, port.to_s, per_second.to_s, seconds.to_s, in: File::NULL, out: input)
      input.close
      answer = output.read
      raise Failed, "the web load failed; what it said is above" unless child.wait(seconds)&.success?

      JSON.parse(answer)
    ensure
      output&.close
      child&.kill
    end
  end
end
