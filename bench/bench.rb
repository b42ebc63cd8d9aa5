# frozen_string_literal: true

require_relative "support/command_line"

$stdout.sync = true
exit Bench::CommandLine.new(ARGV).run
