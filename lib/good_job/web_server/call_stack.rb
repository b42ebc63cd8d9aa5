# frozen_string_literal: true

module GoodJob
  module WebServer
    # Who is loading the application, as far as the call stack shows it.
    class CallStack
      CLUSTER_MASTER = "puma/cluster.rb"
      CLUSTER_WORKER = "puma/cluster/worker.rb"
      # Where Puma calls the application; the second since Puma 8.
      PUMA_REQUESTS = %w[puma/request.rb puma/response.rb].freeze
      UNICORN = "unicorn/http_server.rb"
      PRELOADERS = %w[rack-preloader.rb spring/application.rb spring/application/boot.rb].freeze

      # @param locations [Array<Thread::Backtrace::Location>]
      def initialize(locations = caller_locations)
        @paths = locations.map { |location| location.path.to_s }.uniq
        @labels = locations.map(&:base_label).uniq
      end

      # @return [Boolean] whether the application is loaded for processes that are yet to be forked
      def preloading?
        return !path?(CLUSTER_WORKER) if path?(CLUSTER_MASTER)
        return !unicorn_worker? if path?(UNICORN)

        PRELOADERS.any? { |path| path?(path) }
      end

      # @return [Boolean] whether a web server is loading it
      def server?
        path?("config.ru") || defined?(::Rails::Server) ? true : false
      end

      # @return [Boolean] whether a web server is answering a request
      def request?
        PUMA_REQUESTS.any? { |path| path?(path) }
      end

      def puma?
        path?("puma/configuration.rb") || path?("puma/launcher.rb")
      end

      # @return [Boolean] whether this is a worker of Unicorn that loads the application by itself
      def unicorn_worker?
        path?(UNICORN) && @labels.include?("worker_loop")
      end

      private

      def path?(ending)
        @paths.any? { |path| path.end_with?(ending) }
      end
    end
  end
end
