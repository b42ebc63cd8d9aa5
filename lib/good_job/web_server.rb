# frozen_string_literal: true

require "good_job/web_server/call_stack"

module GoodJob
  # Tells whether this process serves web requests, and starts the threads of the async modes when it begins to. Nothing starts in a
  # process that loads the application only for its children to have it: the master of a Puma cluster with preload_app!, Unicorn's,
  # Passenger's preloader, the Spring server.
  #
  # Some servers announce it: Puma and Unicorn call one known method in every process that serves, and Passenger has an event for it.
  # Of the others can only be seen that they load the application; with them, the process that loads it is the one that serves.
  module WebServer
    # Puma runs servers for its control application and for plugins as well, and runs those in a cluster's master too.
    module Puma
      def run(*, **)
        WebServer.serve if WebServer.application?(app)
        super
      end
    end

    # Runs in each of Unicorn's workers.
    module Unicorn
      private

      def worker_loop(*)
        WebServer.serve
        super
      end
    end

    class << self
      # @return [Boolean] whether this process serves web requests. With a server that announces it: this one, not the one that it was
      #   forked from. With any other server, what it forks may be what serves.
      def serving?
        @serving_pid == ::Process.pid || @unannounced == true
      end

      # @return [Boolean] whether this process only loads the application for those that it is going to fork
      def preloading?
        @preloading_pid == ::Process.pid
      end

      # Unlike {.serving?}, this is known while the application is being loaded, and in every mode.
      # @return [Boolean] whether a web server is what this process runs in, as far as can be seen from here or was seen before
      def around?(stack = CallStack.new)
        @around ||= serving? || stack.server? || stack.request?
      end

      # This process serves from now on.
      def serve
        @serving_pid = ::Process.pid
        Async.start
      end

      # To be called when the application has been initialized.
      # @param stack [CallStack]
      def watch(stack = CallStack.new)
        announced = [watch_puma(stack), watch_unicorn(stack), watch_passenger].any?
        @preloading_pid = ::Process.pid if stack.preloading?
        @unannounced = !announced && stack.server? && !stack.preloading?
      end

      # @param rack_app [#call] what a Puma server serves
      # @return [Boolean] whether it is what Puma was started for
      def application?(rack_app)
        return true if defined?(::Puma::Configuration::ConfigMiddleware) && rack_app.is_a?(::Puma::Configuration::ConfigMiddleware)

        (defined?(::Rails.application) && rack_app.equal?(::Rails.application)) || false
      end

      private

      # Each returns whether this server is loading the application, and will announce when it serves.

      def watch_puma(stack)
        return false unless defined?(::Puma) || puma_handler?

        # `rails server` has loaded Puma's handler only; what Puma's files need is there once puma.rb is.
        require "puma"
        require "puma/server"
        ::Puma::Server.prepend(Puma)
        stack.puma? || puma_handler?
      end

      # `rails server` and `rackup` have loaded it when Puma is what they are going to run, and only then.
      def puma_handler?
        (defined?(::Rack::Handler::Puma) || defined?(::Rackup::Handler::Puma)) && true
      end

      def watch_unicorn(stack)
        return false unless defined?(::Unicorn::HttpServer)

        ::Unicorn::HttpServer.prepend(Unicorn)
        !stack.unicorn_worker?
      end

      def watch_passenger
        return false unless defined?(::PhusionPassenger)

        ::PhusionPassenger.on_event(:starting_worker_process) { |_forked| WebServer.serve }
        true
      end
    end
  end
end
