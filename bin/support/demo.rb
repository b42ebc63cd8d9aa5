# frozen_string_literal: true

# What bin/demo runs once everything is set up.
require_relative "show/show"

$stdout.sync = true
exit Show::Show.new(ARGV.include?("--once") ? Show::SHORT : Show::LONG).run
