# frozen_string_literal: true

ENV["RAILS_ENV"] ||= "test"
ENV["TZ"] ||= "UTC"

require_relative "support/project"
require_relative "support/wait_until"

RSpec.configure do |config|
  config.disable_monkey_patching!
  config.expect_with(:rspec) { |expectations| expectations.include_chain_clauses_in_custom_matcher_descriptions = true }
  config.mock_with(:rspec) { |mocks| mocks.verify_partial_doubles = true }
  config.filter_run_when_matching :focus
  config.example_status_persistence_file_path = Project.path("tmp/spec_status-#{RUBY_VERSION}").to_s
  config.shared_context_metadata_behavior = :apply_to_host_groups

  config.include WaitUntil

  # What takes minutes runs in bin/test, or when asked for.
  config.filter_run_excluding(:slow) unless ENV["SLOW"]

  # `:database` gives an example the five tables, empty, and Active Record connected to them. Without one, no server is started.
  config.when_first_matching_example_defined(:database) { require_relative "support/database" }
end
