# frozen_string_literal: true

module GoodJob
  # What an operator does with a job: retry, discard, reschedule, delete. Each changes the row only while no process holds the job, and
  # keeps processes from claiming it meanwhile.
  module Operations
    # The run under way, as {Run.of} finds it, while a job enqueues itself again: what is to become of its row.
    class Retake
      attr_reader :job_id
      # @return [JobRow, nil] the next attempt
      attr_reader :row

      def initialize(job_id)
        @job_id = job_id
      end

      def retry_with(row)
        @row = row
      end

      # Active Job tells of the retry; the error is the job's own, from before.
      def error_treated(_error, _event); end
    end

    class << self
      # @return [Job]
      def enqueue(active_job, scheduled_at)
        row = JobRow.new(active_job, scheduled_at: scheduled_at)
        Enqueuer.new(announce: GoodJob.configuration.enable_listen_notify).insert(active_job, row)
        Job.find(row.id)
      end

      # @param job [Job]
      # @return [ActiveJob::Base]
      def retry(job)
        expect_state(job, job.discarded?)
        active_job = active_job_of(job)
        active_job.executions = (active_job.executions || 0) + 1
        # Outside of the transaction: Active Job may be told to wait for the end of one before it enqueues.
        row = next_attempt(job, active_job)
        holding(job) do
          expect_state(job, job.discarded?)
          put_back(job, row)
        end
        active_job
      end

      def discard(job, message)
        holding(job) { end_with(job, message) }
        continue_batches(job)
      end

      def force_discard(job, message)
        job.with_lock { end_with(job, message) }
        continue_batches(job)
      end

      def reschedule(job, scheduled_at)
        holding(job) do
          expect_state(job, !job.finished?)
          job.update!(scheduled_at: scheduled_at, **Job.unlocked)
          announce(job)
        end
      end

      def destroy(job)
        holding(job) do
          expect_state(job, job.finished?)
          job.destroy!
        end
      end

      private

      # The row's lock keeps claims away; its advisory lock is what inline runs, and workers of GoodJob, hold.
      def holding(job)
        Job.transaction do
          job.reload(lock: "FOR NO KEY UPDATE SKIP LOCKED")
          free = job.locked_by_id.nil? && job.advisory_lock(function: "pg_try_advisory_xact_lock")
          raise AdvisoryLockable::RecordAlreadyAdvisoryLockedError, "Job #{job.id} is running, or being changed, elsewhere" unless free

          yield
        end
      rescue ActiveRecord::RecordNotFound
        raise unless Job.exists?(id: job.id)

        raise AdvisoryLockable::RecordAlreadyAdvisoryLockedError, "Job #{job.id} is being claimed, or changed, elsewhere"
      end

      def expect_state(job, possible)
        raise Job::ActionForStateMismatchError, "Job #{job.id} is #{job.status}" unless possible
      end

      def active_job_of(job)
        active_job = job.active_job(ignore_deserialization_errors: true)
        raise Job::ActiveJobDeserializationError, "Job #{job.id} cannot be deserialized" unless active_job

        adapter = active_job.class.queue_adapter
        raise Job::AdapterNotGoodJobError, "#{job.job_class} enqueues to #{adapter.class}" unless adapter.is_a?(Adapter)

        active_job
      end

      # Active Job serializes the language and the time zone of the moment: they have to be the job's own.
      def next_attempt(job, active_job)
        retake = Retake.new(job.active_job_id)
        Run.within(retake) do
          I18n.with_locale(locale(active_job)) do
            Time.use_zone(active_job.timezone) { active_job.retry_job(wait: 0, error: error_of(job)) }
          end
        end
        retake.row || raise(Job::ActionForStateMismatchError, "Job #{job.id} was not enqueued: a callback or an open transaction kept it from that")
      end

      def locale(active_job)
        I18n.locale_available?(active_job.locale) ? active_job.locale : I18n.default_locale
      end

      def error_of(job)
        name, message = job.error.split(Job::ERROR_MESSAGE_SEPARATOR, 2)
        error_class = name.safe_constantize
        error_class.is_a?(Class) && error_class <= Exception ? error_class.new(message) : StandardError.new(job.error)
      rescue StandardError
        StandardError.new(job.error)
      end

      def put_back(job, row)
        job.update!(
          serialized_params: JSON.parse(row.serialized_params), scheduled_at: row.scheduled_at || Time.current, queue_name: row.queue_name,
          priority: row.priority, labels: row.labels, performed_at: nil, finished_at: nil, error_event: :retried, **Job.unlocked
        )
        announce(job)
      end

      # Part of the transaction: the commit delivers it.
      def announce(job)
        Statements.run("announce_job", [job.id, Database.time_zone]) if GoodJob.configuration.enable_listen_notify
      end

      def end_with(job, message)
        expect_state(job, !job.finished?)
        error = Job::DiscardJobError.new(message)
        telling_of_discard(job, error) do
          job.update!(finished_at: Time.current, error: Job.format_error(error), error_event: :discarded, **Job.unlocked)
        end
      end

      # A job that cannot be deserialized can be discarded all the same.
      def telling_of_discard(job, error, &block)
        active_job = job.active_job(ignore_deserialization_errors: true)
        return yield unless active_job

        ActiveSupport::Notifications.instrument("discard.active_job", job: active_job, adapter: active_job.queue_adapter, error: error, &block)
      end

      def continue_batches(job)
        [job.batch, job.callback_batch].compact.each do |batch|
          batch._continue_discard_or_finish(job) if batch.respond_to?(:_continue_discard_or_finish)
        end
      end
    end
  end
end
