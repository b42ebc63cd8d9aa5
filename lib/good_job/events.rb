# frozen_string_literal: true

require "active_support/notifications"

module GoodJob
  # Notifications of this gem, "<name>.good_job", sent only when somebody listens; and what it hears from Active Job and the runtime.
  module Events
    # What Active Job calls its treatments of an error, and what the column error_event calls them.
    TREATMENTS = { "enqueue_retry.active_job" => :retried, "retry_stopped.active_job" => :retry_stopped, "discard.active_job" => :discarded }.freeze
    # What a notification's job knows of its row.
    JOB_COLUMNS = %i[id active_job_id queue_name priority job_class concurrency_key serialized_params executions_count].freeze

    class << self
      # @param name [String] with its suffix: "perform_job.good_job"
      # @param payload [Proc] makes the payload; called only when somebody listens
      def instrument(name, payload, &block)
        return yield unless listening?(name)

        ActiveSupport::Notifications.instrument(name, payload.call, &block)
      end

      # For what just happened and lasts no time.
      def tell(name, payload)
        ActiveSupport::Notifications.instrument(name, payload)
      end

      # The run that is under way learns how Active Job treats its errors.
      def listen_to_active_job
        @listen_to_active_job ||= TREATMENTS.map do |name, event|
          ActiveSupport::Notifications.subscribe(name) do |*, payload|
            Run.of(payload[:job])&.error_treated(payload[:error], event)
          end
        end
      end

      # Around one run.
      def perform_job(run)
        return yield unless listening?("perform_job.good_job")

        ActiveSupport::Notifications.instrument("perform_job.good_job", performing(run)) do |payload|
          yield
        ensure
          payload.update(performed(run))
        end
      end

      # To be asked once, when what runs jobs is started: no job pays for a question that nobody has.
      # @return [#call, nil] see {Worker#initialize}; nil: nobody listens
      def teller_of_runs
        method(:finished_job_task) if listening?("finished_job_task.good_job")
      end

      private

      # What was cut short has no result, and what was given back unstarted was no task.
      def finished_job_task(run, error)
        state = run.outcome[:state]
        return if %w[parked unstarted].include?(state)

        retried_job = job_of(run.claim.merge(active_job_id: run.job_id)) if run.retried?
        result = ExecutionResult.of(run, retried_job: retried_job) unless state == "interrupted"
        tell("finished_job_task.good_job", { result: result, error: error, time: Time.current })
      rescue StandardError => e
        GoodJob.report_error(e)
      end

      def job_of(attributes)
        Job.instantiate(attributes.slice(*JOB_COLUMNS).stringify_keys)
      end

      def listening?(name)
        ActiveSupport::Notifications.notifier.listening?(name)
      end

      def performing(run)
        job = job_of(run.attributes)
        { job: job, execution: job, process_id: ::Process.pid, thread_name: CurrentThread.thread_name }
      end

      def performed(run)
        error = run.unhandled_error || run.handled_error
        result = { value: run.value, error_event: run.error_event, retried: run.retried? }
        result.update(error: error, (run.unhandled_error ? :unhandled_error : :handled_error) => error) if error
        result
      end
    end
  end
end
