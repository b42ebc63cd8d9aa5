# frozen_string_literal: true

require "active_record/connection_adapters/postgresql_adapter"

module GoodJob
  # One attempt at a job that has ended.
  class Execution < BaseRecord
    good_job_table "good_job_executions"
    self.implicit_order_column = "created_at"

    alias_attribute :performed_at, :created_at
    # The type itself rather than its name, which only PostgreSQL's adapter knows: an application that keeps its queue elsewhere, or
    # nowhere yet, loads this class as well.
    attribute :duration, ActiveRecord::ConnectionAdapters::PostgreSQL::OID::Interval.new(precision: 6)
    enum_column :error_event, ERROR_EVENTS

    belongs_to :job, class_name: "GoodJob::Job", foreign_key: :active_job_id, primary_key: :active_job_id, optional: true, inverse_of: :executions

    scope :finished, -> { where.not(finished_at: nil) }

    # @return [Integer] which attempt it was, beginning with 1
    def number
      serialized_params.to_h.fetch("executions", 0) + 1
    end

    # @return [Float, nil] seconds between the time it was due and its start
    def queue_latency
      created_at - scheduled_at if scheduled_at
    end

    # @return [ActiveSupport::Duration, nil] how long the attempt took
    def runtime_latency
      duration
    end

    # @return [Numeric, nil] seconds from the start to the end of an attempt that was cut short; nil: it was not, or is under way
    def interrupted_duration
      finished_at - performed_at if finished_at && error_event == "interrupted"
    end

    # @return [Array<String>] the backtrace's lines as the application's backtrace cleaner leaves them
    def filtered_error_backtrace
      lines = Array(error_backtrace)
      defined?(::Rails.backtrace_cleaner) ? ::Rails.backtrace_cleaner.clean(lines) : lines
    end

    # @return [String] JSON: the payload, and this row under _good_job_execution
    def display_serialized_params
      JSON.pretty_generate({ "_good_job_execution" => attributes.except("serialized_params") }.merge(serialized_params.to_h).as_json)
    end

    # @return [Time]
    def last_status_at
      finished_at || created_at
    end

    # @return [Symbol] :running, :discarded, :retried or :succeeded
    def status
      return :running if finished_at.nil?
      return :succeeded if error.blank?

      job&.finished_at ? :discarded : :retried
    end

    ActiveSupport.run_load_hooks(:good_job_execution, self)
  end
end
