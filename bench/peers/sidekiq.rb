# frozen_string_literal: true

require "json"
require_relative "../support/peer"
require_relative "../support/redis_server"

module Bench
  module Peers
    # Sidekiq through Active Job, with a Redis of its own. It has no tables, and keeps no history: Redis knows which jobs wait, and counts
    # those that were processed, but is told only every 5 or 10 seconds. So while it runs, the jobs that have ended are those on the
    # process's own list, which is the moment of perform and not that of anything durable; and at its end, when Sidekiq has told Redis,
    # its counters must agree.
    class Sidekiq < Peer
      QUEUE = "queue:default"
      READY = "bench_ready_jobs"
      COUNTERS = %w[stat:processed stat:failed].freeze
      LEFT_OVERS = %w[retry dead].freeze

      def file
        __FILE__
      end

      def settings
        { concurrency: "as many as threads", log_level: "warn", redis: RedisServer.version, persistence: "Redis' default: snapshots" }
      end

      def environment
        super.merge("REDIS_URL" => @redis.url)
      end

      def missing
        super || ("redis-server" unless RedisServer.version)
      end

      def close
        @redis&.stop
      end

      # --- What is in Redis. The connections are to Postgres, where there is nothing to see.

      def create_tables(_database_url)
        @redis = RedisServer.new.tap(&:start)
      end

      def keep(_connection)
        redis("COPY", QUEUE, READY)
      end

      def restore(connection)
        clear(connection)
        redis("COPY", READY, QUEUE)
      end

      def clear(_connection)
        redis("DEL", QUEUE, *COUNTERS, *LEFT_OVERS)
      end

      def payload(_connection)
        JSON.generate(JSON.parse(redis("LINDEX", QUEUE, "0")).fetch("args").first)
      end

      def waiting_count(_connection)
        Integer(redis("LLEN", QUEUE))
      end

      # @yieldreturn [Integer] how many jobs ran in the process
      def finished_count(_connection)
        yield
      end

      def faults(connection, count)
        found = { waiting: waiting_count(connection), processed: counter("stat:processed"), failed: counter("stat:failed") }
        found.update(LEFT_OVERS.to_h { |set| [set.to_sym, Integer(redis("ZCARD", set))] })
        expected = Hash.new(0).update(processed: count)
        found.reject { |what, number| number == expected[what] }.map { |what, number| "#{number} jobs #{what} in Redis, not #{expected[what]}" }
      end

      # --- Inside the measured process

      def load
        super
        # Versions before 7 meet a Redis client that has something to say about every call of theirs.
        ::Redis.silence_deprecations = true if defined?(::Redis) && ::Redis.respond_to?(:silence_deprecations=)
      end

      def configure(application)
        application.config.after_initialize { logger.level = Logger::WARN }
      end

      # As the command does that is called `sidekiq`, which is what also gives it its reloader.
      def start(threads:, **)
        require "sidekiq/cli"
        command = ::Sidekiq::CLI.instance
        command.parse(["--concurrency", threads.to_s, "--require", file])
        options = command.respond_to?(:config) ? command.config : ::Sidekiq.options
        options[:reloader] = ::Sidekiq::Rails::Reloader.new
        @launcher = ::Sidekiq::Launcher.new(options)
        @launcher.run
      end

      def ready?
        true
      end

      def stop
        @launcher.stop
        # Before version 7 it was left to the command's end.
        ::Sidekiq::Launcher.flush_stats if ::Sidekiq::Launcher.respond_to?(:flush_stats)
      end

      private

      def redis(*command)
        @redis.call(*command)
      end

      def counter(key)
        Integer(redis("GET", key).then { |value| value.empty? ? "0" : value })
      end

      def logger
        ::Sidekiq.respond_to?(:default_configuration) ? ::Sidekiq.default_configuration.logger : ::Sidekiq.logger
      end
    end
  end
end
