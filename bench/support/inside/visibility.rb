# frozen_string_literal: true

module Bench
  module Inside
    # Enqueues jobs one by one, and looks in the table for each until it says that the job has ended.
    module Visibility
      LIMIT_S = 30
      LOOK_S = 0.001
      ENDED = "SELECT id FROM good_jobs WHERE id = ANY ($1::uuid[]) AND finished_at IS NOT NULL"

      class << self
        # @return [Array<Array(String, Integer, Integer)>] the job's id, and µs when its perform_later was called and its end was seen
        def run(count:, interval_ms:)
          enqueued = Thread::Queue.new
          seen = Thread.new { look_for(enqueued, count) }
          calls = Pace.new(interval_ms).map(count) do
            called_at = now_us
            [LatencyJob.perform_later.job_id.tap { |id| enqueued << id }, called_at]
          end
          calls.map { |id, called_at| [id, called_at, seen.value.fetch(id)] }
        end

        private

        # @return [Hash{String => Integer}] µs by id
        def look_for(enqueued, count)
          waited_for = []
          seen = {}
          until seen.size == count
            waited_for << enqueued.pop while waited_for.empty? || !enqueued.empty?
            ended = look(waited_for)
            ended.each { |id| seen[waited_for.delete(id)] = now_us }
            sleep LOOK_S
          end
          seen
        end

        def look(ids)
          connection.exec_params(ENDED, [PG::TextEncoder::Array.new.encode(ids)]).column_values(0)
        end

        def connection
          @connection ||= PG.connect(ENV.fetch("DATABASE_URL"))
        end

        def now_us
          Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
        end
      end
    end
  end
end
