# frozen_string_literal: true

require "pg"

module Bench
  # What is in the queue's tables while its statements are looked at: jobs in numbers, beside a hundred that this process has claimed and
  # a hundred that a dead one has. Two queues and two priorities take turns, and the jobs that are ready became so within the last hour.
  class Situation
    OWN = "00000000-0000-4000-8000-000000000001"
    DEAD = "00000000-0000-4000-8000-000000000002"
    CLAIMED = 100
    READY = "LOCALTIMESTAMP - (1 - number / %<count>d::float8) * interval '1 hour'"
    PARAMS = '{"job_class": "PlainJob", "job_id": "00000000-0000-4000-8000-000000000003", "provider_job_id": null, "queue_name": "mice", ' \
             '"priority": null, "arguments": [1, "two"], "executions": 0, "exception_executions": {}, "locale": "en", "timezone": "UTC", ' \
             '"enqueued_at": "2025-01-01T00:00:00Z"}'
    COLUMNS = {
      queue_name: "CASE number %% 2 WHEN 0 THEN 'mice' ELSE 'elephants' END", priority: "number / 2 %% 2 * 7", job_class: "'PlainJob'",
      serialized_params: "'#{PARAMS}'", created_at: "LOCALTIMESTAMP", updated_at: "LOCALTIMESTAMP"
    }.freeze

    attr_reader :title

    # @param held [Integer] jobs that are claimed and finish while another session holds a snapshot
    def initialize(title:, ready:, future: 0, finished: 0, held: 0)
      @title = title
      @ready = ready
      @future = future
      @finished = finished
      @held = held
    end

    # @yieldparam url [String] of the database, while the jobs are there
    def fill(url)
      @connection = PG.connect(url).tap { |connection| connection.exec("SET TimeZone TO 'UTC'") }
      @connection.exec("TRUNCATE good_jobs, good_job_executions, good_job_processes")
      finish_many
      end_behind_snapshot(url)
      insert("ready", @ready, scheduled_at: READY)
      insert("future", @future, scheduled_at: "LOCALTIMESTAMP + interval '1 day' + number * interval '1 second'")
      claim
      @connection.exec("VACUUM (ANALYZE) good_jobs, good_job_executions, good_job_processes")
      yield url
    ensure
      @holder&.close
      @connection&.close
    end

    private

    # The rows come before the index in whose order they do not come: so they take a minute, and not an hour.
    def finish_many
      return unless @finished.positive?

      @connection.exec("ALTER TABLE good_jobs DROP CONSTRAINT good_jobs_pkey")
      ended = "LOCALTIMESTAMP - interval '1 day' + number * interval '1 millisecond'"
      insert("finished", @finished, scheduled_at: ended, performed_at: ended, finished_at: ended, executions_count: "1", serialized_params: "'{}'")
      @connection.exec("SET maintenance_work_mem = '1GB'; ALTER TABLE good_jobs ADD PRIMARY KEY (id)")
    end

    def end_behind_snapshot(url)
      return unless @held.positive?

      insert("held", @held, scheduled_at: "#{READY} - interval '1 hour'")
      @connection.exec("VACUUM (ANALYZE) good_jobs")
      @holder = PG.connect(url)
      @holder.exec("BEGIN ISOLATION LEVEL REPEATABLE READ")
      @holder.exec("SELECT count(*) FROM good_jobs")
      @connection.exec(<<~SQL)
        UPDATE good_jobs
        SET locked_by_id = '#{OWN}', locked_at = LOCALTIMESTAMP, lock_type = 1, performed_at = LOCALTIMESTAMP, executions_count = 1
      SQL
      @connection.exec("UPDATE good_jobs SET finished_at = LOCALTIMESTAMP, locked_by_id = NULL, locked_at = NULL, lock_type = NULL")
    end

    def claim
      { "own" => [OWN, "interval '0'"], "dead" => [DEAD, "interval '1 hour'"] }.each do |kind, (process, silence)|
        insert(kind, CLAIMED, scheduled_at: "LOCALTIMESTAMP - interval '1 minute'", locked_by_id: "'#{process}'::uuid",
                              locked_at: "LOCALTIMESTAMP", performed_at: "LOCALTIMESTAMP", lock_type: "1", executions_count: "1")
        @connection.exec(<<~SQL)
          INSERT INTO good_job_processes (id, created_at, updated_at, state, lock_type)
          VALUES ('#{process}', LOCALTIMESTAMP, LOCALTIMESTAMP - #{silence}, '{"runtime": "good_job_rs"}', 0)
        SQL
      end
      # Each has had two attempts before.
      @connection.exec(<<~SQL)
        INSERT INTO good_job_executions (active_job_id, created_at, updated_at, finished_at, error)
        SELECT id, LOCALTIMESTAMP - interval '1 hour', LOCALTIMESTAMP, LOCALTIMESTAMP, 'GoodJob::InterruptedError: '
        FROM good_jobs, generate_series(1, 2)
        WHERE locked_by_id IS NOT NULL
      SQL
    end

    # @param kind [String] goes into the ids, so that they are known and in no order
    # @param columns [Hash{Symbol => String}] expressions; `number` counts the jobs
    def insert(kind, count, **columns)
      return unless count.positive?

      all = { **COLUMNS, **columns, id: "md5('#{kind}' || number)::uuid", active_job_id: "md5('#{kind}' || number)::uuid" }
      @connection.exec(format(<<~SQL, count: count))
        INSERT INTO good_jobs (#{all.keys.join(", ")})
        SELECT #{all.values.join(", ")} FROM generate_series(1, %<count>d) AS number
      SQL
    end
  end
end
