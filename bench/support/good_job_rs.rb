# frozen_string_literal: true

require_relative "../../spec/support/postgres"

module Bench
  # The queue that this project is, as the scenarios see any queue: its tables, seen from outside, and the worker, inside the measured
  # process. What is compared with it has the same methods, in bench/peers.
  class GoodJobRs
    # Where a queue's tables are filled anew from.
    READY = "bench_ready_jobs"

    def name
      "good_job_rs"
    end

    # @return [String] what the measured process has to load to have this class
    def file
      __FILE__
    end

    # @return [Hash{String => String, nil}] of the measured processes, beside what all of them have
    def environment
      {}
    end

    # @return [Integer] how many jobs it gets where a scenario has so many
    def jobs(count)
      count
    end

    # --- The tables

    def create_tables(database_url)
      Postgres.migrate(database_url)
    end

    # Remembers the jobs that are in the tables now.
    # @param connection [PG::Connection]
    def keep(connection)
      connection.exec("CREATE TABLE #{READY} AS TABLE good_jobs")
    end

    # Empties the tables, and puts the remembered jobs back.
    def restore(connection)
      clear(connection)
      connection.exec("INSERT INTO good_jobs TABLE #{READY}")
      connection.exec("VACUUM (ANALYZE) good_jobs")
    end

    def clear(connection)
      connection.exec("TRUNCATE good_jobs, good_job_executions, good_job_processes")
    end

    # @return [String] one job's serialized form
    def payload(connection)
      connection.exec("SELECT serialized_params::text FROM good_jobs LIMIT 1").getvalue(0, 0)
    end

    # @return [Integer] how many jobs the database says have ended
    def finished_count(connection)
      Integer(connection.exec("SELECT count(*) FROM good_jobs WHERE finished_at IS NOT NULL").getvalue(0, 0))
    end

    # @return [Integer] how many jobs have not
    def waiting_count(connection)
      Integer(connection.exec("SELECT count(*) FROM good_jobs WHERE finished_at IS NULL").getvalue(0, 0))
    end

    # @return [Array<String>] what is wrong with the tables after so many jobs ran once each
    def faults(connection, count)
      row = connection.exec(<<~SQL).first.transform_values { |value| Integer(value) }
        SELECT (SELECT count(*) FROM good_jobs WHERE finished_at IS NOT NULL AND error IS NULL AND locked_by_id IS NULL) AS finished,
               (SELECT count(*) FROM good_jobs WHERE executions_count = 1) AS counted,
               (SELECT count(*) FROM good_job_executions WHERE finished_at IS NOT NULL AND error IS NULL) AS executions,
               (SELECT count(DISTINCT active_job_id) FROM good_job_executions) AS executed
      SQL
      row.reject { |_what, number| number == count }.map { |what, number| "#{number} jobs #{what} in the tables, not #{count}" }
    end

    # --- The worker, inside the measured process

    def load
      $LOAD_PATH.unshift File.expand_path("../../lib", __dir__)
      require "good_job_rs"
    end

    # @return [Symbol] for config.active_job.queue_adapter
    def adapter
      :good_job
    end

    # @param application [Rails::Application]
    def configure(application)
      application.config.good_job.execution_mode = :external
    end

    # @return [Boolean] whether {#start} can be told to claim nothing in advance
    def prefetch_optional?
      true
    end

    # As `good_job start` does.
    # @param threads [Integer] of each pool that names no number
    # @param queues [String] the pools
    # @param prefetch [Boolean] whether to claim more short jobs than there are free threads
    def start(threads:, queues: "*", prefetch: true)
      configuration = GoodJob::Configuration.new({ max_threads: threads, queues: queues, prefetch: prefetch, lower_thread_priority: false })
      @capsule = GoodJob::Capsule.new(configuration: configuration)
      @capsule.start
    end

    # @return [Boolean] whether the worker waits for jobs
    def ready?
      @capsule.snapshot.fetch(:listening)
    end

    def stop
      @capsule.shutdown(timeout: -1)
    end
  end
end
