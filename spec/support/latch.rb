# frozen_string_literal: true

require "tmpdir"
require_relative "wait_until"

# A file that jobs wait for, in whatever process they run, with or without a database.
class Latch
  include WaitUntil

  attr_reader :path

  def self.create
    new(File.join(Dir.mktmpdir("latch"), "open"))
  end

  def initialize(path)
    @path = path
  end

  def open
    File.write(path, "")
  end

  def wait
    wait_until("the latch #{path}", limit_seconds: 120) { File.exist?(path) }
  end

  # What a job has to say while it has no database.
  def note(event)
    File.open("#{path}.notes", "a") { |file| file.puts(event) }
  end

  # @return [Array<String>]
  def notes
    File.exist?("#{path}.notes") ? File.readlines("#{path}.notes", chomp: true) : []
  end

  def remove
    FileUtils.remove_entry(File.dirname(path))
  end
end
