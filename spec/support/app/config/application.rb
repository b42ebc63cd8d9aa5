# frozen_string_literal: true

require "logger"
require "rails"
require "active_record/railtie"
require "active_job/railtie"
require "action_controller/railtie"
require "good_job_rs"
require_relative "../../latch"

# The application that the integration specs start as users start theirs. An example adds lines of its own to the class.
class SpecApplication < Rails::Application
  $stdout.sync = true

  config.root = File.expand_path("..", __dir__)
  config.load_defaults Rails::VERSION::STRING.to_f
  config.eager_load = true
  config.cache_classes = true
  config.secret_key_base = "not a secret " * 5
  config.logger = ActiveSupport::Logger.new($stdout)
  config.log_level = ENV.fetch("LOG_LEVEL", "info").to_sym
  config.active_record.dump_schema_after_migration = false
  config.active_job.queue_adapter = :good_job
  config.active_job.logger = Logger.new(nil)

  class_eval(ENV.fetch("SPEC_APP_CONFIGURATION", ""), "SPEC_APP_CONFIGURATION", 1)
end
