# frozen_string_literal: true

module GoodJob
  # Whether the row of a job that has ended is kept: GoodJob.preserve_job_records.
  module Preservation
    class << self
      # @param error [Exception, nil]
      # @param event [Symbol, nil] how the error was treated
      def keep?(run, error, event)
        case (setting = GoodJob.preserve_job_records)
        when true, false, nil then setting ? true : false
        when :on_unhandled_error then !run.unhandled_error.nil?
        else ask(setting, run, error, event)
        end
      end

      private

      # The callable is the application's code: it may use a database connection, which the executor gives back.
      def ask(callable, run, error, event)
        GoodJob.within_executor { callable.call(run.active_job, error, event) } ? true : false
      rescue StandardError => e
        GoodJob.report_error(e)
        true
      end
    end
  end
end
