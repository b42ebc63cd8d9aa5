# frozen_string_literal: true

module Bench
  # Jobs in numbers, made by the database from one that the application enqueued: each has ids of its own, also in what Active Job
  # serialized. A million takes a minute, where perform_later would take half an hour.
  class ManyJobs
    # Jobs inserted in one transaction are due at even distances, so that several kinds are mixed evenly; and all about now, as a worker
    # expects of what is enqueued.
    READY = "LOCALTIMESTAMP - (1 - number / $1::float8) * interval '1 millisecond'"
    # One a second, and the first not before any measurement has ended.
    FUTURE = "LOCALTIMESTAMP + interval '1 day' + number * interval '1 second'"
    # The announcement is that of an enqueue: see ext/core/sql/insert_jobs.sql.
    INSERT = <<~SQL
      WITH made AS MATERIALIZED (
        SELECT gen_random_uuid() AS id, number, ($2::text[])[1 + number %% cardinality($2::text[])] AS queue_name
        FROM generate_series(1, $1::int4) AS number
      ),
      inserted AS (
        INSERT INTO good_jobs (id, active_job_id, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at, job_class)
        SELECT id, id, queue_name, $3::int4, $4::jsonb || jsonb_build_object('job_id', id, 'queue_name', queue_name), %s,
               LOCALTIMESTAMP, LOCALTIMESTAMP, $5::text
        FROM made
        RETURNING queue_name, priority, scheduled_at
      )
      SELECT pg_notify('good_job', json_build_object('queue_name', queue_name, 'count', count(*), 'priority', priority,
                                                     'scheduled_at', timezone('UTC', min(scheduled_at)))::text)
      FROM inserted
      GROUP BY queue_name, priority
    SQL

    # @param connection [PG::Connection] whose time zone is UTC, as Active Record's
    # @param sample_id [String] of the job to copy, which is taken out of the table
    def self.of(connection, sample_id)
      new(connection, connection.exec_params(<<~SQL, [sample_id]).first)
        DELETE FROM good_jobs WHERE id = $1 RETURNING queue_name, priority, serialized_params, job_class
      SQL
    end

    # @param sample [Hash{String => String}] see {#sample}
    def initialize(connection, sample)
      @connection = connection
      @sample = sample
    end

    # @return [Hash{String => String}] what is copied
    attr_reader :sample

    # Jobs to run now, announced.
    # @param queues [Array<String>] take turns
    def ready(count, queues: [@sample.fetch("queue_name")])
      insert(READY, count, queues)
    end

    # Jobs of tomorrow and later, announced as well.
    def future(count)
      insert(FUTURE, count, [@sample.fetch("queue_name")])
    end

    private

    def insert(scheduled_at, count, queues)
      @connection.exec_params(format(INSERT, scheduled_at), [count, array(queues), *@sample.values_at("priority", "serialized_params", "job_class")])
    end

    def array(values)
      PG::TextEncoder::Array.new.encode(values)
    end
  end

  # Several kinds of jobs in turn.
  class Turns
    # @param kinds [Array<ManyJobs>]
    def initialize(kinds)
      @turns = kinds.cycle
    end

    # See {ManyJobs#ready}.
    def ready(count)
      Array.new(count) { @turns.next }.tally.each { |jobs, number| jobs.ready(number) }
    end
  end
end
