# frozen_string_literal: true

# The inside of a measured process: loads a queue and the application, then calls what its standard input names, one line each, and
# answers on standard output. It ends when its input does.

require "json"

module Bench
  # What is called by name.
  module Inside
    class << self
      # @return [#start] the queue that is measured, see {GoodJobRs}
      attr_reader :queue

      # @param queue [#start]
      # @param answers [IO]
      def serve(queue, answers)
        @queue = queue
        require_relative "inside/application"
        Dir[File.join(__dir__, "inside/*.rb")].each { |file| require file }
        answer(answers, nil)
        while (line = $stdin.gets)
          receiver, method, arguments = JSON.parse(line, symbolize_names: true)
          answer(answers, const_get(receiver, false).public_send(method, **arguments))
        end
        Worker.stop
      end

      private

      def answer(answers, value)
        answers.puts JSON.generate(answer: value)
      end
    end
  end
end

file, queue_class = ARGV
require file
answers = $stdout.dup.tap { |output| output.sync = true }
# Whatever else is printed must not be taken for an answer.
$stdout.reopen($stderr)
Bench::Inside.serve(Object.const_get(queue_class).new, answers)
