# frozen_string_literal: true

require "yaml"
require_relative "../support/postgres_peer"

module Bench
  module Peers
    # Delayed Job with its Active Record backend. A worker of it is one process with one thread, whatever the number of threads asked for;
    # a job that has ended is deleted.
    class DelayedJob < PostgresPeer
      def file
        __FILE__
      end

      def gems
        %w[delayed_job delayed_job_active_record]
      end

      def settings
        { backend: "active_record", threads: 1, history: "none", delayed_job_defaults: "read_ahead 5, sleep_delay 5" }
      end

      def tables
        %w[delayed_jobs]
      end

      def waiting_sql
        "SELECT count(*) FROM delayed_jobs"
      end

      def payload_sql
        "SELECT handler FROM delayed_jobs LIMIT 1"
      end

      def install
        Inside::Tables.generate("delayed_job:active_record")
      end

      # As `bin/delayed_job run` does.
      def start(**)
        @worker = Delayed::Worker.new
        @thread = Thread.new { @worker.start }
      end

      def ready?
        @thread.alive?
      end

      def stop
        @worker.stop
        # It may be sleeping until it looks the next time.
        @thread.wakeup if @thread.alive?
        @thread.join
      end

      private

      # YAML of a Ruby object, of which only the data is wanted.
      def payload_of(stored)
        JSON.generate(YAML.safe_load(stored.sub(/\A---[^\n]*/, "---")).fetch("job_data"))
      end
    end
  end
end
