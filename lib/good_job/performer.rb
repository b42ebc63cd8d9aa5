# frozen_string_literal: true

module GoodJob
  # Performs one job in the caller's thread, for a caller with an id of its own who asks what became of it: {Job.perform_with_lock} and
  # {Job#perform}. The job is leased in its row, and its advisory lock, which goes with the session, says that it runs: the caller has no
  # heartbeat. A job that somebody else has, by the one or by the other, is left alone.
  class Performer
    # @param lock_id [String] uuid under which the job is held
    # @param lock_strategy [Symbol] what the row says of how it is locked, see {BaseRecord::LOCK_TYPES}; it is always locked in both ways
    # @raise [ArgumentError] there is no such strategy, or the id is that of a process that would take the job away
    def initialize(lock_id:, lock_strategy:)
      @lock_id = lock_id
      @lock_type = BaseRecord::LOCK_TYPES.fetch(lock_strategy.to_s.to_sym) { refuse_strategy(lock_strategy) }
      refuse_runtime if Process.runtime?(lock_id)
      @lock = Inline::JobLock.new
    end

    # Performs the first job that nobody has.
    # @param jobs [ActiveRecord::Relation] that are due, in order
    # @param tries_max [Integer] so many whose advisory lock somebody has are passed over
    # @yieldparam job [Job, nil] before it is performed; nil: there is none
    # @return [ExecutionResult, nil] nil: there is none
    # @raise [Exception] what no job may raise
    def perform_next(jobs, tries_max:, &block)
      tried = []
      while tried.size < tries_max
        job_id = nil
        claim = -> { job_id = pick(jobs.where.not(id: tried)) and claim(job_id, due_by: Time.current, already_claimed: false) }
        job, result = @lock.around_claim(claim) { |attempt| run_found(attempt, &block) }
        return result.tap { job.run_callbacks(:perform_unlocked) } if result
        break unless job_id

        tried << job_id
      end
      block&.call(nil)
      nil
    end

    # Performs this job, due or not.
    # @param job [Job]
    # @param already_claimed [Boolean] whether its row may say that the caller has it
    # @return [ExecutionResult]
    # @raise [Exception] what no job may raise
    def perform(job, already_claimed:)
      claim = -> { claim(job.id, due_by: nil, already_claimed: already_claimed) }
      @lock.around_claim(claim) { |attempt| run(attempt, job) } || ExecutionResult.new(unexecutable: true)
    end

    private

    def refuse_strategy(given)
      known = BaseRecord::LOCK_TYPES.keys.map(&:inspect).join(", ")
      raise ArgumentError, "GoodJob: lock_strategy is #{given.inspect}, but must be one of #{known}."
    end

    # A runtime gives back what is held under its id and that it did not claim itself.
    def refuse_runtime
      raise ArgumentError, "GoodJob: lock_id is #{@lock_id}, a process that runs jobs by itself and would give this one back. Use " \
                           "GoodJob.capsule.tracker.id_for_lock, or any other UUID."
    end

    # The row's lock keeps others away until the claim is there to be seen. What somebody else has locked only shows in the claim.
    def pick(jobs)
      jobs.lock(skip_locked).pick(:id)
    end

    # Only the jobs' rows, whatever else the relation has joined.
    def skip_locked
      "FOR NO KEY UPDATE OF #{@lock.connection.quote_column_name(Job.table_name.split(".").last)} SKIP LOCKED"
    end

    def claim(job_id, due_by:, already_claimed:)
      now = Time.current
      binds = [@lock_id, now, job_id, @lock_type, due_by, already_claimed, Inline::JobLock.key(nil)]
      row = Statements.run("claim_job", binds, @lock.connection).first
      row && Inline::Attempt.new(Inline::Attempt.claim(row, locked_at: now), @lock_id)
    end

    def run_found(attempt, &block)
      job = Job.find(attempt.run.job_id)
      [job, run(attempt, job, &block)]
    end

    def run(attempt, job)
      noting_active_job(attempt.run) do
        yield job if block_given?
        job.run_callbacks(:perform) { attempt.perform && refresh(job) }
      end
      result_of(attempt, job)
    end

    # Active Job shows it when it begins to perform.
    def noting_active_job(run, &block)
      note = ->(*, payload) { run.active_job = payload[:job] if run.equal?(Run.of(payload[:job])) }
      ActiveSupport::Notifications.subscribed(note, "perform_start.active_job", &block)
    end

    # It may be gone: preserve_job_records.
    def refresh(job)
      job.reload
    rescue ActiveRecord::RecordNotFound
      job
    end

    # What a callback has stopped was not started.
    def result_of(attempt, job)
      return ExecutionResult.new(unexecutable: true) unless attempt.begun?

      ExecutionResult.of(attempt.run, retried_job: (job if attempt.run.retried?))
    end
  end
end
