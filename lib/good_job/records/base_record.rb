# frozen_string_literal: true

module GoodJob
  # Parent of the models, on the database of {GoodJob.active_record_parent_class}.
  class BaseRecord < (GoodJob.active_record_parent_class || "ActiveRecord::Base").to_s.constantize
    self.abstract_class = true

    # What the integers of the columns error_event and lock_type mean.
    ERROR_EVENTS = { interrupted: 0, unhandled: 1, handled: 2, retried: 3, retry_stopped: 4, discarded: 5 }.freeze
    LOCK_TYPES = { advisory: 0, skiplocked: 1, hybrid: 2 }.freeze

    class << self
      private

      # The application's own prefix and suffix around our name: "good_jobs", "tenant_good_jobs".
      def good_job_table(name)
        self.table_name = "#{table_name_prefix}#{name}#{table_name_suffix}"
      end

      # An integer column read by name. `enum` takes its options in a different form since Active Record 7.0.
      def enum_column(name, values)
        attribute name, :integer
        method(:enum).arity == 1 ? enum(name => values, _prefix: true, _scopes: false) : enum(name, values, prefix: true, scopes: false)
      end
    end

    class_eval(&GoodJob.active_record_configuration) if GoodJob.active_record_configuration
    ActiveSupport.run_load_hooks(:good_job_base_record, self)
  end
end
