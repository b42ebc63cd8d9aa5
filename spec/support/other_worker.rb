# frozen_string_literal: true

# What a worker of GoodJob's is to the tables: it claims and ends jobs one by one, by statements like those of GoodJob 4.19 in one of its
# lock strategies, on a session of its own. With this gem it has nothing in common. For a process without Rails (spec/support/plain_process.rb).
class OtherWorker
  KEY = "('x' || substr(md5('good_jobs-' || %s::text), 1, 16))::bit(64)::int8"
  DUE = "finished_at IS NULL AND scheduled_at <= timezone('UTC', now())"
  IN_ORDER = "ORDER BY priority ASC NULLS LAST, created_at ASC"

  # The lock alone has the job; what rows say of others is not looked at.
  ADVISORY = <<~SQL.freeze
    SELECT id
    FROM (
      WITH candidates AS MATERIALIZED (SELECT id FROM good_jobs WHERE #{DUE} #{IN_ORDER} LIMIT 1000)
      SELECT id FROM candidates WHERE pg_try_advisory_lock(#{format(KEY, "id")}) LIMIT 1
    ) AS locked
    WHERE $1::uuid IS NOT NULL
  SQL
  SKIPLOCKED = <<~SQL.freeze
    UPDATE good_jobs SET locked_by_id = $1, locked_at = timezone('UTC', now()), lock_type = 1
    WHERE id = (SELECT id FROM good_jobs WHERE #{DUE} AND locked_by_id IS NULL #{IN_ORDER} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING id
  SQL
  # A lock that is not to be had is the end of the try, and nothing is claimed.
  HYBRID = <<~SQL.freeze
    WITH candidate AS MATERIALIZED (
      SELECT id FROM good_jobs WHERE #{DUE} AND locked_by_id IS NULL #{IN_ORDER} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ),
    locked AS MATERIALIZED (SELECT id, pg_try_advisory_lock(#{format(KEY, "id")}) AS got FROM candidate)
    UPDATE good_jobs SET locked_by_id = $1, locked_at = timezone('UTC', now()), lock_type = 2
    FROM locked
    WHERE good_jobs.id = locked.id AND locked.got
    RETURNING good_jobs.id
  SQL
  CLAIMS = { advisory: ADVISORY, skiplocked: SKIPLOCKED, hybrid: HYBRID }.freeze

  START = <<~SQL
    WITH execution AS (
      INSERT INTO good_job_executions (active_job_id, job_class, queue_name, serialized_params, scheduled_at, created_at, updated_at, process_id)
      SELECT active_job_id, job_class, queue_name, serialized_params, scheduled_at, timezone('UTC', now()), timezone('UTC', now()), $2::uuid
      FROM good_jobs WHERE id = $1
    )
    UPDATE good_jobs
    SET performed_at = timezone('UTC', now()), executions_count = COALESCE(executions_count, 0) + 1,
        locked_by_id = $2::uuid, locked_at = timezone('UTC', now()), lock_type = COALESCE(lock_type, 0)
    WHERE id = $1
    RETURNING serialized_params
  SQL
  FINISH = <<~SQL
    WITH execution AS (
      UPDATE good_job_executions SET finished_at = timezone('UTC', now()) WHERE active_job_id = $1 AND process_id = $2::uuid
    )
    UPDATE good_jobs
    SET finished_at = timezone('UTC', now()), locked_by_id = NULL, locked_at = NULL, lock_type = NULL
    WHERE id = $1
  SQL

  # @param strategy [String] one of CLAIMS
  def initialize(strategy)
    @claim = CLAIMS.fetch(strategy.to_sym)
    @locks = strategy != "skiplocked"
    @id = SecureRandom.uuid
    @session = PG.connect(ENV.fetch("DATABASE_URL").sub(/\?.*/, ""))
    @session.exec("LISTEN good_job")
    @session.exec_params("INSERT INTO good_job_processes (id, state, created_at, updated_at) VALUES ($1, '{}', timezone('UTC', now()), timezone('UTC', now()))", [@id])
  end

  # Until the process is killed.
  def work
    puts "ready"
    loop { perform_next || @session.wait_for_notify(0.05) }
  end

  private

  # @return [Boolean] whether there was a job
  def perform_next
    job_id = @session.exec_params(@claim, [@id]).values.flatten.first or return false
    perform(job_id) unless finished?(job_id)
    true
  ensure
    @session.exec_params("SELECT pg_advisory_unlock(#{format(KEY, "$1")})", [job_id]) if job_id && @locks
  end

  # The claim may have seen it as it was before somebody else ended it.
  def finished?(job_id)
    @session.exec_params("SELECT finished_at IS NOT NULL FROM good_jobs WHERE id = $1", [job_id]).getvalue(0, 0) == "t"
  end

  def perform(job_id)
    params = @session.exec_params(START, [job_id, @id]).getvalue(0, 0)
    ActiveJob::Base.execute(JSON.parse(params))
    @session.exec_params(FINISH, [job_id, @id])
  end
end
