# frozen_string_literal: true

module Bench
  # Takes jobs out of the tables that ended a while ago, as an application does that keeps history for some time, and looks whether each
  # is as it should be.
  class Harvest
    KEPT = "interval '30 seconds'"
    VACUUM = "VACUUM good_jobs, good_job_executions, good_job_processes"
    RETRIED = "Bench::Inside::Traffic::RetriedJob"
    FAILING = "Bench::Inside::Traffic::FailingJob"

    # @return [Hash{String => Integer}] the jobs' ids, and how many attempts of each are on record
    attr_reader :attempts
    # @return [Array<String>] what was wrong with a job
    attr_reader :faults

    # @param connection [PG::Connection] to the queue's database
    def initialize(connection)
      @connection = connection
      @attempts = {}
      @faults = []
    end

    # Those that ended a while ago. What they leave is cleaned at once: what cannot be cleaned is what would pile up.
    def reap
      take("finished_at < LOCALTIMESTAMP - #{KEPT}")
      @connection.exec(VACUUM)
    end

    def reap_all
      take("finished_at IS NOT NULL")
    end

    private

    def take(condition)
      @connection.exec(<<~SQL).each { |job| check(job) }
        WITH ended AS (
          DELETE FROM good_jobs WHERE #{condition} RETURNING id, job_class, executions_count, error, locked_by_id
        ),
        run AS (
          DELETE FROM good_job_executions WHERE active_job_id IN (SELECT id FROM ended) RETURNING active_job_id
        )
        SELECT ended.*, (SELECT count(*) FROM run WHERE run.active_job_id = ended.id) AS runs FROM ended
      SQL
    end

    def check(job)
      id, job_class = job.values_at("id", "job_class")
      expected = job_class == RETRIED ? 2 : 1
      @attempts[id] = expected
      right = [expected, expected, job_class != FAILING, nil]
      found = [Integer(job.fetch("executions_count")), Integer(job.fetch("runs")), job.fetch("error").nil?, job.fetch("locked_by_id")]
      @faults << "#{job_class} #{id}: #{job}" unless found == right
    end
  end
end
