# frozen_string_literal: true

module GoodJob
  # The modes in which the application's own processes run jobs: starts the capsules of the processes that should.
  module Async
    class << self
      # @return [Boolean] whether the application has been initialized, so that jobs may be run
      def ready?
        @ready == true
      end

      # To be called once the application has been initialized. The executable starts a capsule by itself.
      def application_initialized
        @ready = true
        return if GoodJob.cli?
        return unless GoodJob.configuration.async? || Adapter.instances.any?(&:async_mode?)

        WebServer.watch
        start
      end

      # Starts what this process should run, if anything. An error is reported: a web server goes on serving.
      def start
        return unless ready?

        load_queue_adapter
        Adapter.instances.each(&:start_async)
      rescue StandardError => e
        GoodJob.report_error(e)
      end

      private

      # Active Job makes its adapter when its base class is loaded, which may be at the first job only.
      def load_queue_adapter
        ActiveJob::Base.queue_adapter
      end
    end
  end
end
