# frozen_string_literal: true

module Bench
  module Inside
    # The runtime's claim statements, run by a plain connection that is set up as the runtime's are, and rolled back.
    module Claim
      SESSION = "SET TimeZone TO 'UTC'; SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off; " \
                "SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
      EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"
      FROM_START = ["claim_jobs", "uuid, int4, int4, text[], text[]"].freeze
      ONWARD = ["claim_jobs_onward", "#{FROM_START.last}, int4[], timestamptz[], uuid[]"].freeze
      # Just before the first job that waits: up to where a worker has looked that keeps up. Where none waits any more, a second ago.
      MARK = <<~SQL
        WITH waiting AS (
          SELECT priority, scheduled_at - interval '1 microsecond' AS scheduled_at, id
          FROM good_jobs
          WHERE finished_at IS NULL AND locked_by_id IS NULL
          ORDER BY priority, scheduled_at, id
          LIMIT 1
        )
        SELECT * FROM waiting
        UNION ALL
        SELECT 0, LOCALTIMESTAMP - interval '1 second', '00000000-0000-0000-0000-000000000000' WHERE NOT EXISTS (SELECT FROM waiting)
      SQL

      class << self
        # @param jobs [Integer] how many to claim at once
        # @return [Array<Float>] ms of so many claims, after one that is not counted
        def times_ms(count:, jobs:)
          prepare(*FROM_START)
          Array.new(count + 1) { rolled_back { ms { connection.exec(from_start(jobs)) } } }.drop(1)
        end

        # @return [Integer] pages that one claim looks at, wherever they are
        def buffers(jobs:)
          prepare(*FROM_START)
          pages(from_start(jobs))
        end

        # @return [Integer, nil] the same of a claim that goes on where the last one ended; nil: the queue has no such claims
        def onward_buffers(jobs:)
          return unless onward?

          prepare(*ONWARD)
          pages(onward(jobs))
        end

        private

        def from_start(jobs)
          "EXECUTE claim_jobs (#{arguments(jobs)})"
        end

        def onward(jobs)
          mark = connection.exec(MARK).first.transform_values { |value| "'{\"#{value}\"}'" }
          "EXECUTE claim_jobs_onward (#{arguments(jobs)}, #{mark.values_at("priority", "scheduled_at", "id").join(", ")})"
        end

        def arguments(jobs)
          "'#{SecureRandom.uuid}', #{jobs}, #{jobs}, NULL, NULL"
        end

        def onward?
          GoodJob::Native.statement(ONWARD.first) && true
        rescue ArgumentError
          false
        end

        def pages(execute)
          plan = rolled_back { connection.exec("#{EXPLAIN} #{execute}").getvalue(0, 0) }
          JSON.parse(plan).first.fetch("Plan").values_at("Shared Hit Blocks", "Shared Read Blocks").sum
        end

        def rolled_back
          connection.exec("BEGIN")
          yield
        ensure
          connection.exec("ROLLBACK")
        end

        def ms
          started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
          yield
          (Process.clock_gettime(Process::CLOCK_MONOTONIC) - started) * 1000
        end

        def prepare(name, types)
          return if prepared.include?(name)

          connection.exec("PREPARE #{name} (#{types}) AS #{GoodJob::Native.statement(name).gsub("{jobs}", "good_jobs")}")
          prepared << name
        end

        def prepared
          @prepared ||= []
        end

        def connection
          @connection ||= PG.connect(ENV.fetch("DATABASE_URL")).tap { |connection| connection.exec(SESSION) }
        end
      end
    end
  end
end
