# frozen_string_literal: true

require "json"

module GoodJob
  # One execution of a claimed job, from its payload to its outcome. An enqueue of the same job during the run (Active Job's retry)
  # writes nothing: it becomes part of the outcome, and the one statement that stores the outcome writes it.
  class Run
    CURRENT = :good_job_run
    NO_LABELS = [].freeze
    private_constant :CURRENT, :NO_LABELS

    # @return [Run, nil] the run that is under way in this fiber
    def self.current
      Thread.current[CURRENT]
    end

    # @return [Run, nil] the current run, if it is of this job
    def self.of(job)
      run = current
      run if run && run.job_id == job.job_id
    end

    # Active Job makes the job that it performs, and those who run inside of it may want to see it.
    module NotesJob
      def deserialize(job_data)
        super.tap { |job| Run.note_job(job) }
      end
    end

    # @param job [ActiveJob::Base] just made; the first one of the current run is the one that runs
    def self.note_job(job)
      run = of(job)
      run.active_job ||= job if run.is_a?(Run)
    end

    # Lets something else find out what a job does with itself.
    # @param run [#job_id, #retry_with, #error_treated]
    # @yield as if inside of it
    def self.within(run)
      outer = current
      Thread.current[CURRENT] = run
      yield
    ensure
      Thread.current[CURRENT] = outer
    end

    attr_reader :claim, :job_id
    # @return [Hash] see {Outcome}; "unstarted" before, "interrupted" during the run
    attr_reader :outcome
    # @return [Exception, nil] what nothing in the job handled
    attr_reader :unhandled_error
    # @return [Exception, nil] what the job handled by itself
    attr_reader :handled_error
    # @return [Object, nil] what the job returned
    attr_reader :value
    # @return [ActiveJob::Base, nil] the job that runs; nil: it has not been made yet, or cannot be
    attr_accessor :active_job

    # @param claim [Hash] see {Native::Runtime#take}
    # @param register [#describe, nil] has what the claim does not say; nil: it says everything
    def initialize(claim, register = nil)
      @claim = claim
      @register = register
      @job_id = claim[:id]
      @outcome = Outcome::UNSTARTED
    end

    # @return [Hash] of the job's row, what is known here
    def attributes
      described = @register ? @register.describe(@claim[:lease]) : {}
      { active_job_id: @job_id, **@claim, **described }
    end

    # Runs the job.
    #
    # @yieldparam params [Hash] what ActiveJob::Base.execute takes
    # @yieldreturn [Object] what it returns
    # @return [Hash] the outcome
    # @raise [Exception] anything that is not among {GoodJob.handled_exceptions}; the outcome is "interrupted" then
    def perform
      outer = Thread.current[CURRENT]
      Thread.current[CURRENT] = self
      @outcome = Outcome::INTERRUPTED
      @outcome = settle(yield(params))
    rescue *GoodJob.handled_exception_classes => e
      @outcome = settle_unhandled(e)
    ensure
      Thread.current[CURRENT] = outer
    end

    # The job enqueued itself again.
    # @param row [JobRow]
    def retry_with(row)
      @next_attempt = row
    end

    # Active Job tells what it does with an error, in its notifications.
    # @param event [Symbol] :retried, :retry_stopped or :discarded
    def error_treated(error, event)
      @treated_error = error
      @treatment = event
    end

    # The job may run as far as its limits go; they are not looked at again.
    def admit
      @admitted = true
    end

    def admitted?
      @admitted ? true : false
    end

    # The job is over its limit, and has something of its own to do about that: it is told instead of being run.
    # @param error [Exception]
    def turn_away(error)
      @excess = error
    end

    # @return [Exception, nil] see {#turn_away}
    attr_reader :excess

    # The job is over its limit: it is kept apart.
    # @param time [Time, nil] until then at the latest; nil: as long as it takes
    def park(time)
      @outcome = Outcome.parked(time)
    end

    # @return [Class, nil] of the job
    def job_class
      payload["job_class"].to_s.safe_constantize
    rescue PayloadError, JSON::ParserError
      nil
    end

    # @return [Hash] what ActiveJob::Base.execute takes
    # @raise [PayloadError, JSON::ParserError]
    def params
      params = payload
      params["provider_job_id"] = @job_id
      concurrency_key = @claim[:concurrency_key] and params["good_job_concurrency_key"] = concurrency_key
      # Without them the job would take those of its class for its own.
      params["good_job_labels"] = @claim[:labels] || NO_LABELS
      params
    end

    # @return [Boolean] whether the run must be counted before it starts: an attempt before it died, or the job wants to know
    def counted_first?
      !@claim[:stamped] && (@claim[:stamp_first] || interrupt_errors?) ? true : false
    end

    # @return [Time, nil] when the attempt before this one started, if it was cut short
    def interrupted_at
      at = @claim[:interrupted_at] and Time.at(0, at, :microsecond).utc
    end

    # @param treatment [Symbol] see {#error_treated}
    # @return [Exception, nil] the error that Active Job treated so
    def error_treated_as(treatment)
      @treated_error if @treatment == treatment
    end

    # @return [Boolean] whether the job has enqueued itself again
    def retrying?
      !@next_attempt.nil?
    end

    def succeeded?
      @outcome[:state] == "succeeded"
    end

    def retried?
      @outcome[:state] == "retried"
    end

    # @return [Symbol, nil] how the error was treated, see {BaseRecord::ERROR_EVENTS}
    def error_event
      @outcome[:error_event]&.to_sym
    end

    private

    # @return [Hash]
    # @raise [PayloadError, JSON::ParserError]
    def payload
      return @payload if @payload

      payload = JSON.parse(@claim[:serialized_params] || "null")
      raise PayloadError, "serialized_params is #{payload.inspect[0, 100]}, not the JSON object that Active Job writes" unless payload.is_a?(Hash)

      @payload = payload
    end

    # Active Job returns the error that rescue_from, retry_on or discard_on handled.
    def settle(value)
      @value = value
      error = value.is_a?(Exception) ? value : @treated_error
      return Outcome.succeeded(preserve: preserve?(nil, nil)) unless error || @next_attempt

      @handled_error = error
      event = event_of(error, :handled) if error
      return Outcome.retried(error, event, @next_attempt) if @next_attempt

      Outcome.failed(error, event, preserve: preserve?(error, event))
    end

    def settle_unhandled(error)
      @unhandled_error = error
      event = error.is_a?(InterruptError) ? :interrupted : event_of(error, :unhandled)
      return Outcome.retried(error, event, @next_attempt) if @next_attempt || GoodJob.retry_on_unhandled_error

      Outcome.failed(error, event, preserve: preserve?(error, event))
    end

    def event_of(error, otherwise)
      error.equal?(@treated_error) ? @treatment : otherwise
    end

    def preserve?(error, event)
      Preservation.keep?(self, error, event)
    end

    def interrupt_errors?
      ActiveJobExtensions::InterruptErrors.included_in?(payload["job_class"])
    rescue PayloadError, JSON::ParserError
      false
    end
  end
end
