# frozen_string_literal: true

module GoodJob
  class ProbeServer
    # Answers how this process is doing, and leaves every other path to the application behind it.
    class HealthcheckMiddleware
      OK = "OK"

      # @param app [#call] a Rack application
      def initialize(app)
        @app = app
      end

      def call(env)
        case env["PATH_INFO"]
        when "/", "/status" then answer(true, OK)
        when "/status/started" then answer(started?, started? ? "Started" : "Not started")
        when "/status/connected" then answer(connected?, connected? ? "Connected" : "Not connected")
        else @app.call(env)
        end
      end

      private

      def started?
        capsules.any? && capsules.all?(&:running?)
      end

      def connected?
        started? && capsules.all? { |capsule| reached?(capsule) }
      end

      def capsules
        Capsule.instances.reject { |capsule| capsule.shutdown? && capsule.snapshot.nil? }
      end

      def reached?(capsule)
        snapshot = capsule.snapshot
        snapshot && snapshot[:connected] && (snapshot[:listening] || !capsule.configuration.enable_listen_notify)
      end

      def answer(well, text)
        [well ? 200 : 503, {}, [text]]
      end
    end
  end
end
