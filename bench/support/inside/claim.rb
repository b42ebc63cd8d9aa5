# frozen_string_literal: true

module Bench
  module Inside
    # The runtime's claim statement, run by a plain connection and rolled back.
    module Claim
      EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE claim"
      TYPES = "uuid, int4, int4, text[], text[]"

      class << self
        # @param jobs [Integer] how many to claim at once
        # @return [Array<Float>] ms of so many claims, after one that is not counted
        def times_ms(count:, jobs:)
          execute = "EXECUTE claim (#{arguments(jobs)})"
          Array.new(count + 1) { rolled_back { ms { connection.exec(execute) } } }.drop(1)
        end

        # @return [Integer] pages that one claim looks at, wherever they are
        def buffers(jobs:)
          plan = rolled_back { connection.exec("#{EXPLAIN} (#{arguments(jobs)})").getvalue(0, 0) }
          JSON.parse(plan).first.fetch("Plan").values_at("Shared Hit Blocks", "Shared Read Blocks").sum
        end

        private

        def arguments(jobs)
          "'#{SecureRandom.uuid}', #{jobs}, #{jobs}, NULL, NULL"
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

        def connection
          @connection ||= PG.connect(ENV.fetch("DATABASE_URL")).tap do |connection|
            connection.exec("SET TimeZone TO 'UTC'")
            connection.exec("PREPARE claim (#{TYPES}) AS #{GoodJob::Native.statement("claim_jobs").gsub("{jobs}", "good_jobs")}")
          end
        end
      end
    end
  end
end
