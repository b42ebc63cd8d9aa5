# frozen_string_literal: true

require "fileutils"
require "rbconfig"
require_relative "cargo"

# Runs specs of the boundary under valgrind's memcheck, and reads what it says.
module Memcheck
  # The library with names is loaded from here, before anything asks for it; the one in lib stays.
  DIRECTORY = File.expand_path("../tmp/memcheck", __dir__)
  LIBRARY = "#{DIRECTORY}/good_job_rs/#{RUBY_VERSION[/\d+\.\d+/]}/good_job_rs.so".freeze
  SUPPRESSIONS = "spec/support/memcheck.supp"
  SPEC = "spec/integration/boundary_spec.rb"
  # A process under valgrind is some thirty times slower: what measures milliseconds is not for it.
  EXAMPLES = [
    "loses no job that had just arrived", "is refused by an ArgumentError", "are replaced, each by one", "of a runtime that never was connected"
  ].freeze
  # What tells a fault from a heading, and whose it is.
  FAULT = /^(?:Invalid|Mismatched|Source and destination|Process terminating|Jump to|.* definitely lost)/
  OURS = /good_job_rs(?:\.so|::)|good_job_core/
  OPTIONS = %W[
    --tool=memcheck --error-limit=no --num-callers=40 --leak-check=full --show-leak-kinds=definite
    --undef-value-errors=no --suppressions=#{SUPPRESSIONS} --trace-children=no --log-file=#{DIRECTORY}/%p.log
  ].freeze

  module_function

  def possible?
    system("valgrind", "--version", out: File::NULL, err: File::NULL)
  end

  def build
    Cargo.run("build", "--locked", "--package", "good_job_rs", "--profile", "memcheck")
    FileUtils.mkdir_p(File.dirname(LIBRARY))
    FileUtils.cp(File.join(Cargo.target_directory, "memcheck", "libgood_job_rs.so"), LIBRARY)
  end

  def run
    FileUtils.rm_f(Dir["#{DIRECTORY}/*.log"])
    examples = ENV.key?("EXAMPLES") ? [ENV.fetch("EXAMPLES")] : EXAMPLES
    command = [RbConfig.ruby, "-I", DIRECTORY, "-r", LIBRARY, "-S", "rspec", SPEC, *examples.flat_map { |text| ["--example", text] }]
    Rake::FileUtilsExt.sh("valgrind", *OPTIONS, *command)
  end

  # @return [Array<String>] what valgrind complains about where the library is on the stack. Of Ruby itself it has thousands of
  #   complaints: Ruby looks for references everywhere, and frees little at its end.
  def faults
    paragraphs = Dir["#{DIRECTORY}/*.log"].flat_map { |log| File.read(log).gsub(/^==\d+== ?/, "").split(/\n\s*\n/) }
    paragraphs.select { |paragraph| paragraph.match?(OURS) && paragraph.match?(FAULT) }
  end
end
