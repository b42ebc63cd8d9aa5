# frozen_string_literal: true

require_relative "../support/postgres_peer"

module Bench
  module Peers
    # Solid Queue, with its tables in the application's database, and one worker in the measured process instead of a fork of its
    # supervisor's: what ran must be known there. Its dispatcher only moves jobs of the future, of which there are none.
    class SolidQueue < PostgresPeer
      POLLING_INTERVAL_S = 0.1

      def file
        __FILE__
      end

      def settings
        { polling_interval_s: POLLING_INTERVAL_S, preserve_finished_jobs: true, pool: POOL_SIZE, database: "the application's" }
      end

      def tables
        %w[solid_queue_jobs solid_queue_ready_executions]
      end

      def waiting_sql
        "SELECT count(*) FROM solid_queue_jobs WHERE finished_at IS NULL"
      end

      def payload_sql
        "SELECT arguments FROM solid_queue_jobs LIMIT 1"
      end

      def install
        Inside::Tables.generate("solid_queue:install")
      end

      def configure(application)
        super
        application.config.solid_queue.preserve_finished_jobs = true
      end

      def start(threads:, **)
        @worker = ::SolidQueue::Worker.new(queues: "*", threads: threads, polling_interval: POLLING_INTERVAL_S)
        @worker.start
      end

      def ready?
        true
      end

      def stop
        @worker.stop
      end
    end
  end
end
