# frozen_string_literal: true

require "forwardable"
require_relative "../support/good_job_rs"
require_relative "../support/postgres_peer"

module Bench
  module Peers
    # GoodJob itself: other code behind the same tables, so that ours say of it what they say of us.
    class GoodJob < PostgresPeer
      extend Forwardable

      def_delegators :@tables, :keep, :restore, :clear, :payload, :waiting_count, :finished_count, :faults

      def initialize
        super
        @tables = GoodJobRs.new
      end

      def file
        __FILE__
      end

      def settings
        { execution_mode: "external", preserve_job_records: true, pool: POOL_SIZE, other: "defaults" }
      end

      def install
        Inside::Tables.generate("good_job:install")
      end

      def configure(application)
        super
        application.config.good_job.execution_mode = :external
        application.config.good_job.preserve_job_records = true
      end

      # As `good_job start` does.
      def start(threads:, **)
        @capsule = ::GoodJob::Capsule.new(configuration: ::GoodJob::Configuration.new({ max_threads: threads }))
        @capsule.start
      end

      def ready?
        @capsule.running?
      end

      def stop
        @capsule.shutdown(timeout: -1)
      end
    end
  end
end
