# frozen_string_literal: true

require "etc"
require "fileutils"

# Runs the specs in several processes at once: most of their time they wait for processes of their own. Each has a database and servers of
# its own anyway.
module Specs
  OUTPUT_DIRECTORY = "tmp/specs"

  # A process takes one part after the other, so that none has much to do when the others have ended. Loading Rails for one takes seconds.
  PARTS_PER_PROCESS = 4

  module_function

  # @return [Array<String>]
  def files
    Dir["spec/**/*_spec.rb"]
  end

  # Shows what a part says when it has ended.
  # @return [Boolean] whether all are green
  def run(files, processes)
    FileUtils.mkdir_p(OUTPUT_DIRECTORY)
    puts "#{files.size} files in #{processes} processes at once; what they say is in #{OUTPUT_DIRECTORY} meanwhile"
    waiting = parts(files, processes * PARTS_PER_PROCESS).each_with_index.to_a
    running = waiting.shift(processes).to_h { |part, index| start(part, index) }
    green = true
    until running.empty?
      green &= finish(running)
      running.store(*start(*waiting.shift)) if running.size < processes && waiting.any?
    end
    green
  end

  # Each gets as much of a directory as any other, by size: what takes long stands in the same places.
  # @return [Array<Array<String>>]
  def parts(files, number)
    ordered = files.sort_by { |file| [File.dirname(file), -File.size(file), file] }
    ordered.each_with_index.group_by { |_, index| index % number }.values.map { |part| part.map(&:first) }
  end

  # @return [Array(Integer, String)] the process, and the file with what it says
  def start(part, index)
    output = "#{OUTPUT_DIRECTORY}/#{index}.log"
    [spawn("rspec", *part, %i[out err] => output), output]
  end

  def finish(running)
    pid, status = Process.wait2
    return true unless running.key?(pid) # a child of somebody else's

    puts File.read(running.delete(pid))
    status.success?
  end
end
