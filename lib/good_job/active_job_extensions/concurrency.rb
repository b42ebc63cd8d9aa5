# frozen_string_literal: true

require "good_job/active_job_extensions/labels"
require "good_job/active_job_extensions/concurrency/rule"

module GoodJob
  module ActiveJobExtensions
    # Limits of how many jobs of a key, or of a label, are enqueued or run at once or in a time.
    module Concurrency
      extend ActiveSupport::Concern

      # Many of them are nobody's fault: a backtrace would only cost.
      class ConcurrencyExceededError < StandardError
        def backtrace
          []
        end
      end

      class ThrottleExceededError < ConcurrencyExceededError; end

      # Rails 7.1 gave it another name and took the old one away later.
      def self.growing_wait
        ActiveJob::Base.new.send(:determine_delay, seconds_or_duration_or_algorithm: :polynomially_longer, executions: 1)
        :polynomially_longer
      rescue StandardError
        :exponentially_longer
      end

      included do
        include Labels
        class_attribute :good_job_concurrency_config, instance_accessor: false, instance_predicate: false, default: {}
        class_attribute :good_job_concurrency_rules, instance_accessor: false, instance_predicate: false, default: []
        attr_writer :good_job_concurrency_key

        retry_on ConcurrencyExceededError, attempts: Float::INFINITY, wait: Concurrency.growing_wait
        class_attribute :good_job_excess_handler, instance_accessor: false, instance_predicate: false, default: rescue_handlers.last
        around_enqueue { |job, block| Limits.around_enqueue(job, &block) }
        around_perform { |job, block| Limits.around_perform(job, &block) }
      end

      class_methods do
        # Replaces what was said before.
        # @param config [Hash] total_limit, enqueue_limit, perform_limit, enqueue_throttle, perform_throttle and key; values, or callables
        #   that are run on the job
        def good_job_control_concurrency_with(config)
          KeyRule.new(config)
          self.good_job_concurrency_config = config
        end

        # Adds a rule.
        # @param rule [Hash] as {#good_job_control_concurrency_with}, and label
        def good_job_concurrency_rule(rule)
          self.good_job_concurrency_rules = [*good_job_concurrency_rules, Rule.new(rule)]
        end

        # @return [Array<Rule>] all there are, in the order in which they are looked at
        def good_job_limits
          [KeyRule.new(good_job_concurrency_config), *good_job_concurrency_rules]
        end

        # @return [Boolean] whether the class itself says, by name, what is to be done about a job that is over its limit
        def good_job_handles_excess?(error_class)
          names = [error_class, ConcurrencyExceededError].map(&:name)
          handler = rescue_handlers.reverse_each.find { |name, _handler| names.include?(name.to_s) }
          !handler.equal?(good_job_excess_handler)
        end
      end

      # @return [String, nil] as the job was enqueued with; until then as its class says
      def good_job_concurrency_key
        return @good_job_concurrency_key if defined?(@good_job_concurrency_key)

        @good_job_concurrency_key = KeyRule.stored_key(self)
      end

      def deserialize(job_data)
        super
        self.good_job_concurrency_key = job_data["good_job_concurrency_key"] if job_data.key?("good_job_concurrency_key")
      end
    end
  end
end
