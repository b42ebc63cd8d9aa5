# frozen_string_literal: true

module Bench
  module Inside
    # What any queue in Postgres has to do between an enqueue and a start, and nothing else: one INSERT with its NOTIFY, committed; the
    # notification received by another process; one claim statement, committed. By the queue's own statements, through libpq.
    module RawTrip
      CHANNEL = "good_job"
      WAIT_LIMIT_S = 10

      class << self
        # Listens from now on.
        def listen
          prepare("claim_jobs")
          connection.exec("LISTEN #{CHANNEL}")
          @process_id = SecureRandom.uuid
        end

        # Waits for so many notifications, and claims after each.
        # @return [Array<Integer>] µs when the claim was there
        def receive(count:)
          Array.new(count) do
            connection.wait_for_notify(WAIT_LIMIT_S) || raise("no notification within #{WAIT_LIMIT_S} s")
            claimed = connection.exec_prepared("claim_jobs", [@process_id, 1, 1, nil, nil])
            raise "claimed #{claimed.ntuples} jobs, not one" unless claimed.ntuples == 1

            now_us
          end
        end

        # @return [Array<Integer>] µs when each insert was begun
        def announce(count:, interval_ms:)
          prepare("insert_job")
          parameters = insert_parameters
          Pace.new(interval_ms).map(count) do
            called_at = now_us
            connection.exec_prepared("insert_job", [SecureRandom.uuid, *parameters])
            called_at
          end
        end

        private

        # As the enqueuer's, after the id.
        def insert_parameters
          job = LatencyJob.new
          now = Time.now.utc.strftime("%F %T.%6N")
          ["default", 0, ActiveSupport::JSON.encode(job.serialize), nil, now, "UTC", job.class.name, *Array.new(6), true, nil]
        end

        def prepare(name)
          connection.prepare(name, GoodJob::Native.statement(name).gsub("{jobs}", "good_jobs")) unless prepared.include?(name)
          prepared << name
        end

        def prepared
          @prepared ||= []
        end

        def connection
          @connection ||= PG.connect(ENV.fetch("DATABASE_URL")).tap { |connection| connection.exec("SET TimeZone TO 'UTC'") }
        end

        def now_us
          Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
        end
      end
    end
  end
end
