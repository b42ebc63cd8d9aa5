# frozen_string_literal: true

module GoodJob
  # What became of one job that was performed where somebody asked for it: {Job.perform_with_lock}, {Job#perform}, and the notification
  # finished_job_task.good_job.
  class ExecutionResult
    # @return [Object, nil] what the job returned
    attr_reader :value
    # @return [Exception, nil] what Active Job handled: by retry_on, discard_on or rescue_from
    attr_reader :handled_error
    # @return [Exception, nil] what nothing handled
    attr_reader :unhandled_error
    # @return [Symbol, nil] how the error was treated, see {BaseRecord::ERROR_EVENTS}
    attr_reader :error_event
    # @return [Job, nil] the job's row, where it goes on with another attempt
    attr_reader :retried_job
    # @return [Boolean] whether the job was not run: it had ended, or somebody else had it
    attr_reader :unexecutable
    # @return [ActiveJob::Base, nil] the job that ran; nil: it failed before it could be made
    attr_reader :active_job

    # @param run [Run] that has ended
    # @param retried_job [Job, nil]
    # @return [ExecutionResult]
    def self.of(run, retried_job: nil)
      value = run.value unless run.value.is_a?(Exception)
      new(value: value, handled_error: run.handled_error, unhandled_error: run.unhandled_error, error_event: run.error_event,
          retried_job: retried_job, active_job: run.active_job)
    end

    def initialize(value: nil, handled_error: nil, unhandled_error: nil, error_event: nil, retried_job: nil, unexecutable: false, active_job: nil)
      @value = value
      @handled_error = handled_error
      @unhandled_error = unhandled_error
      @error_event = error_event
      @retried_job = retried_job
      @unexecutable = unexecutable
      @active_job = active_job
    end

    # @return [Boolean] whether it ran, and without an error
    def succeeded?
      !unexecutable && handled_error.nil? && unhandled_error.nil?
    end

    # @return [Boolean] whether there will be another attempt
    def retried?
      !retried_job.nil?
    end
  end
end
