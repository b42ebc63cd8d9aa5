# frozen_string_literal: true

require_relative "boot"
require "logger"
require "securerandom"
require "rails"
require "active_record/railtie"
require "active_job/railtie"
require "action_controller/railtie"
require "action_mailer/railtie"
require "action_view/railtie"
require "good_job_rs"

module Demo
  # A web application that runs its jobs in its own Puma process, and in as many `good_job start` as are started beside it.
  class Application < Rails::Application
    config.load_defaults Rails::VERSION::STRING.to_f

    config.eager_load = Rails.env.production?
    config.cache_classes = Rails.env.production?
    config.log_level = ENV.fetch("LOG_LEVEL", "warn")
    config.secret_key_base = ENV.fetch("SECRET_KEY_BASE") { SecureRandom.hex(64) }
    config.active_record.dump_schema_after_migration = false
    config.action_mailer.delivery_method = :test

    config.active_job.queue_adapter = :good_job
    config.good_job.execution_mode = :async
    config.good_job.queues = "mice:2"
    config.good_job.poll_interval = 1
    config.good_job.enable_pauses = true
    config.good_job.enable_cron = true
    config.good_job.on_thread_error = ->(error) { DemoNote.create!(subject: "on_thread_error", text: "#{error.class}: #{error.message}") }
  end
end
