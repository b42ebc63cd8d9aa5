# frozen_string_literal: true

require_relative "support/soak"

$stdout.sync = true
exit Bench::Soak.new(Integer(ARGV.fetch(0))).run
