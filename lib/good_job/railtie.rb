# frozen_string_literal: true

require "rails/railtie"

module GoodJob
  # Takes config.good_job, gives the models to the application's autoloader, and starts the async modes.
  class Railtie < ::Rails::Railtie
    # Settings that are the module's own; config.good_job may say them too.
    SHARED_SETTINGS = %i[logger on_thread_error preserve_job_records retry_on_unhandled_error].freeze

    config.good_job = ActiveSupport::OrderedOptions.new

    # Nil says something here: of preserve_job_records, that nothing is kept.
    # @param settings [Hash{Symbol => Object}] config.good_job
    def self.share(settings)
      SHARED_SETTINGS.each do |name|
        next unless settings.key?(name)

        GoodJob.public_send(:"#{name}=", settings[name].nil? ? nil : GoodJob.configuration.public_send(name))
      end
    end

    # config.active_support.deprecation goes for this gem's too, where Rails has such a list.
    initializer "good_job.deprecator", before: :load_environment_config do |app|
      app.deprecators[:good_job] = GoodJob.deprecator if app.respond_to?(:deprecators)
    end

    # Where Active Job lets classes wait, after it has begun to.
    initializer "good_job.bound_enqueue", after: "active_job.enqueue_after_transaction_commit" do
      ActiveSupport.on_load(:active_job) { ActiveSupport.on_load(:active_record) { BoundEnqueue.prepare_many(ActiveJob) } }
    end

    initializer "good_job.records" do
      Records.hand_over(::Rails.autoloaders.main)
    end

    # Tasks are what writes schema.rb.
    rake_tasks do
      require "good_job/schema_dump"
      require "active_record/connection_adapters/postgresql_adapter"
      ActiveRecord::ConnectionAdapters::PostgreSQLAdapter.prepend(SchemaDump)
    end

    initializer "good_job.logger", after: :initialize_logger do
      GoodJob.logger = ::Rails.logger if GoodJob.logger.equal?(DEFAULT_LOGGER)
    end

    config.to_prepare { ActiveJobExtensions::InterruptErrors.forget }

    # After the application's own initializers, which may still change settings.
    config.after_initialize do |app|
      GoodJob.configuration = Configuration.new
      Railtie.share(app.config.good_job.to_h)
      Async.application_initialized
    end
  end
end
