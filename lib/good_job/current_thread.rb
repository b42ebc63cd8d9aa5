# frozen_string_literal: true

module GoodJob
  # What the job that runs on this thread (or fiber) may want to know. The values are those of the run that is under way, unless somebody
  # has set others.
  module CurrentThread
    ACCESSORS = %i[
      active_job cron_at cron_key error_on_discard error_on_retry error_on_retry_stopped execution_interrupted job retried_job retry_now
    ].freeze
    # A job that is enqueued on this thread gets these; see {JobRow::Origin}.
    ORIGIN = %i[cron_at cron_key].freeze
    TREATMENTS = { error_on_discard: :discarded, error_on_retry: :retried, error_on_retry_stopped: :retry_stopped }.freeze
    KEY = :good_job_current_thread
    private_constant :ORIGIN, :TREATMENTS, :KEY

    class << self
      (ACCESSORS - ORIGIN).each do |name|
        define_method(name) { set_values.fetch(name) { of_run(name) } }
        define_method(:"#{name}=") { |value| Thread.current[KEY] = set_values.merge(name => value) }
      end

      ORIGIN.each do |name|
        define_method(name) { JobRow::Origin.current.public_send(name) }
        define_method(:"#{name}=") { |value| JobRow::Origin.change(name => value) }
      end

      # @param values [Hash{Symbol => Object}] what is set from now on; nothing else is
      def reset(values = {})
        unknown = values.keys - ACCESSORS
        raise ArgumentError, "GoodJob::CurrentThread has no #{unknown.first}, only #{ACCESSORS.join(", ")}" if unknown.any?

        Thread.current[KEY] = values.except(*ORIGIN).presence
        JobRow::Origin.change(ORIGIN.to_h { |name| [name, values[name]] })
      end

      # @return [Hash{Symbol => Object}]
      def to_h
        ACCESSORS.to_h { |name| [name, public_send(name)] }
      end

      # What the block sets is forgotten after it.
      # @yieldparam current [CurrentThread]
      # @return what the block returns
      def within
        values = Thread.current[KEY]
        JobRow::Origin.within(JobRow::Origin.any) { yield(self) }
      ensure
        Thread.current[KEY] = values
      end

      # @return [String, nil] of the job that runs
      def active_job_id
        active_job&.job_id || run&.job_id
      end

      # @return [Integer]
      def process_id
        ::Process.pid
      end

      # @return [String] its number where it has no name
      def thread_name
        (Thread.current.name || Thread.current.object_id).to_s
      end

      private

      NOTHING = {}.freeze
      private_constant :NOTHING

      def set_values
        Thread.current[KEY] || NOTHING
      end

      # Not what an operator finds out about a job: {Operations::Retake}.
      def run
        run = Run.current
        run if run.is_a?(Run)
      end

      def of_run(name)
        case name
        when :job then run && Job.find_by(id: run.job_id)
        when :retried_job then run&.retrying? ? Job.find_by(id: run.job_id) : nil
        when :active_job then run&.active_job
        when :execution_interrupted then run&.interrupted_at&.in_time_zone
        else run&.error_treated_as(TREATMENTS[name])
        end
      end
    end
  end
end
