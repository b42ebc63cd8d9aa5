# frozen_string_literal: true

require "logger"
# Outside of the bundle there may be others.
gem "railties", ENV.fetch("BENCH_RAILS")
require "rails"
require "active_record/railtie"
require "active_job/railtie"

Bench::Inside.queue.load

module Bench
  module Inside
    # An application as in production: without the two lines about classes it would look for changed code before every job, and be
    # several times slower.
    class Application < Rails::Application
      config.load_defaults Rails::VERSION::STRING.to_f
      config.root = __dir__
      config.eager_load = true
      config.cache_classes = true
      config.logger = Logger.new($stderr)
      config.log_level = :warn
      config.secret_key_base = "measured"
      config.active_job.queue_adapter = Inside.queue.adapter
      Inside.queue.configure(self)
    end
  end
end

Bench::Inside::Application.initialize!
