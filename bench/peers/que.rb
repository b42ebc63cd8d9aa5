# frozen_string_literal: true

require_relative "../support/postgres_peer"

module Bench
  module Peers
    # Que on Active Record's connections. A job that has ended is deleted, as is its default.
    class Que < PostgresPeer
      def file
        __FILE__
      end

      def settings
        { worker_priorities: "any", history: "none", pool: POOL_SIZE, other: "defaults" }
      end

      def tables
        %w[que_jobs]
      end

      def waiting_sql
        "SELECT count(*) FROM que_jobs WHERE finished_at IS NULL"
      end

      def payload_sql
        "SELECT (args -> 0)::text FROM que_jobs LIMIT 1"
      end

      def install
        ::Que.connection = ::ActiveRecord
        ::Que.migrate!(version: ::Que::Migrations::CURRENT_VERSION)
      end

      def configure(application)
        super
        application.config.after_initialize { ::Que.connection = ::ActiveRecord }
      end

      # As `que --worker-priorities any,…` does: those of its default would leave threads to jobs of a high priority only.
      def start(threads:, **)
        @locker = ::Que::Locker.new(worker_priorities: Array.new(threads))
      end

      def ready?
        true
      end

      def stop
        @locker.stop!
      end
    end
  end
end
