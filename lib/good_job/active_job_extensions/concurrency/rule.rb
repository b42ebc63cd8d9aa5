# frozen_string_literal: true

module GoodJob
  module ActiveJobExtensions
    module Concurrency
      # Some limits, and which jobs they count. Every value may be a callable, which is run on the job.
      class Rule
        KEY_CLASSES = [String, Symbol, Numeric, Date, Time, TrueClass, FalseClass, NilClass].freeze
        AT_ENQUEUE = %i[total_limit enqueue_limit enqueue_throttle].freeze
        AT_PERFORM = %i[total_limit perform_limit perform_throttle].freeze
        KNOWN = %i[label key total_limit enqueue_limit perform_limit enqueue_throttle perform_throttle].freeze

        # @param config [Hash]
        # @raise [ArgumentError] an option does not exist
        def initialize(config)
          unknown = config.keys - KNOWN
          @config = config.freeze
          return if unknown.empty?

          raise ArgumentError, "GoodJob: unknown concurrency option #{unknown.map(&:inspect).join(", ")}. Known are #{KNOWN.join(", ")}."
        end

        def [](name)
          @config[name]
        end

        # @return [Boolean] whether it may keep jobs from being enqueued
        def at_enqueue?
          AT_ENQUEUE.any? { |name| @config.key?(name) }
        end

        # @return [Boolean] whether it may keep jobs from being run
        def at_perform?
          AT_PERFORM.any? { |name| @config.key?(name) }
        end

        # @return [Boolean] whether it is about this job
        def applies_to?(job)
          label = label_of(job)
          label.nil? || job.good_job_labels.any? { |own| own.to_s.strip == label }
        end

        # @return [String] what is locked while jobs are counted, and told when there are too many
        def name_for(job)
          key_of(job) || "label:#{label_of(job)}"
        end

        # @return [String, nil] the label that counted jobs have
        def label_of(job)
          label = value(job, :label)
          label.to_s.strip.presence
        end

        # @return [String, nil] the concurrency key that counted jobs have, unless they are counted by label
        def key_of(job)
          Rule.key(value(job, :key))
        end

        # @return [ActiveRecord::Relation] the jobs that are counted
        def jobs(job)
          Rule.jobs(key: key_of(job), label: label_of(job))
        end

        # @return [Integer, Float, nil] nil: there is no such limit
        def limit(job, name, otherwise = nil)
          limit = value(job, name)
          limit = value(job, otherwise) if limit.nil? && otherwise
          limit if natural?(limit)
        end

        # @return [Array(Integer, Numeric), nil] so many jobs in so many seconds; nil: there is no such limit
        def throttle(job, name)
          pair = value(job, name)
          pair if pair.is_a?(Array) && pair.size == 2 && pair.all? { |number| natural?(number) }
        end

        # @return [ActiveRecord::Relation] by label where there is one, else by key, else all
        def self.jobs(key:, label:)
          return Job.labeled(label) if label

          key ? Job.where(concurrency_key: key) : Job.all
        end

        # @raise [TypeError]
        def self.key(value)
          raise TypeError, "Concurrency key must be a String; was a #{value.class.name}" unless KEY_CLASSES.any? { |type| value.is_a?(type) }

          value&.to_s
        end

        private

        def value(job, name)
          value = @config[name]
          value.respond_to?(:call) ? job.instance_exec(&value) : value
        end

        # Durations are numbers too.
        def natural?(number)
          (number.is_a?(Numeric) || number.is_a?(ActiveSupport::Duration)) && (0...Float::INFINITY).cover?(number.to_f)
        end
      end

      # The limits of a class, by the key with which its jobs are enqueued.
      class KeyRule < Rule
        # @return [String, nil] the key that the row of a new job gets: the class's, else that of its first rule with one, else its name
        def self.stored_key(job)
          job_class = job.class
          config = job_class.good_job_concurrency_config
          return new(config.slice(:key)).given_key(job) if config.key?(:key)

          keyed = job_class.good_job_concurrency_rules.find { |rule| rule[:key] && !rule[:label] } if config.empty?
          keyed ? keyed.key_of(job) : job_class.name
        end

        def given_key(job)
          Rule.key(value(job, :key))
        end

        # A key that is nil switches the limits off.
        def applies_to?(job)
          !job.good_job_concurrency_key.nil?
        end

        def key_of(job)
          Rule.key(job.good_job_concurrency_key)
        end

        def label_of(_job)
          nil
        end
      end
    end
  end
end
