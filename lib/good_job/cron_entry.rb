# frozen_string_literal: true

require "good_job/cron_entry/schedule"

module GoodJob
  # A job that is enqueued again and again: one entry of config.good_job.cron.
  class CronEntry
    KEYS = %i[key cron class args kwargs set description enabled_by_default].freeze
    # What some of the values must be, unless they are callables that answer with it.
    KINDS = {
      class: ["the name of a job class", [String, Symbol, Class]], kwargs: ["a Hash", [Hash]], set: ["a Hash", [Hash]],
      description: ["a text", [String, Symbol]], enabled_by_default: ["true or false", [TrueClass, FalseClass]]
    }.freeze

    class << self
      # @param configuration [Configuration]
      # @return [Array<CronEntry>]
      def all(configuration: GoodJob.configuration)
        configuration.cron.map { |key, params| new(params.to_h.merge(key: key)) }
      end

      # @return [CronEntry]
      # @raise [ActiveRecord::RecordNotFound] there is no such key
      def find(key, configuration: GoodJob.configuration)
        all(configuration: configuration).find { |entry| entry.key == key.to_sym } ||
          raise(ActiveRecord::RecordNotFound, "There is no cron entry #{key.inspect}")
      end

      # @param entries [Array<CronEntry>]
      # @return [Hash{String => Job}] by key
      def last_jobs_by_key(entries = all)
        jobs = entries.map { |entry| entry.jobs.order(cron_at: :desc).limit(1) }
        jobs.flat_map(&:to_a).index_by(&:cron_key)
      end
    end

    attr_reader :params

    # @param params [Hash{Symbol => Object}]
    # @raise [ArgumentError] names the entry, and what is wrong with it
    def initialize(params = {})
      @params = params.to_h.transform_keys { |name| name.respond_to?(:to_sym) ? name.to_sym : name }
      check_keys
      check_values
      @schedule = Schedule.parse(cron) unless cron_callable?
      return if cron_callable? || @schedule

      raise ArgumentError, "GoodJob: the cron entry #{key.inspect} has cron: #{cron.inspect}, which is no cron line. Allowed are lines such as " \
                           "\"*/5 * * * *\", with a field for seconds before it or a time zone behind it, phrases such as \"every day at noon\", " \
                           "or a callable of (last_time)."
    end

    # @return [Symbol]
    def key
      params.fetch(:key).to_sym
    end

    alias id key
    alias to_param key

    # @return [String, #call]
    def cron
      params[:cron]
    end

    # @return [String] the job's class
    def job_class
      value_of(:class).to_s
    end

    # @return [Hash, nil] options as for ActiveJob::Base.set
    def set
      value_of(:set)
    end

    # @return [Array, nil]
    def args
      value_of(:args)
    end

    # @return [Hash, nil]
    def kwargs
      value_of(:kwargs)
    end

    def description
      params[:description]
    end

    # @param previously_at [Time, nil] when it was last due; nil: when its last job was
    # @return [Time, nil] when it is due next; nil: a callable knows no time
    def next_at(previously_at: nil)
      return @schedule.next_time(Time.current) unless cron_callable?

      answer = GoodJob.within_executor { cron.call(previously_at || last_job_at) }
      answer.is_a?(String) ? Schedule.parse(answer)&.next_time(Time.current) : answer&.to_time
    end

    # @param period [Numeric, ActiveSupport::Duration] seconds
    # @return [Array<Time>] when it was due in the period that ends now; none if a callable decides
    def within(period)
      now = Time.current
      @schedule ? @schedule.within(now - period, now) : []
    end

    def enabled?
      Setting.cron_key_enabled?(key, default: enabled_by_default?)
    end

    def enable
      Setting.cron_key_enable(key)
    end

    def disable
      Setting.cron_key_disable(key)
    end

    # @return [Boolean] whether it is on as long as nobody has switched it
    def enabled_by_default?
      value = params.fetch(:enabled_by_default, true)
      value = value.call if value.respond_to?(:call)
      value ? true : false
    end

    # @param cron_at [Time, nil] which time it is for, of which there is one job only; nil: for none, now
    # @return [ActiveJob::Base, false] false: the job was not enqueued
    def enqueue(cron_at = nil)
      CurrentThread.within do |current|
        current.cron_key = key.to_s
        current.cron_at = cron_at
        I18n.with_locale(I18n.default_locale) { configured_job.perform_later(*Array.wrap(args), **(kwargs || {})) }
      end
    end

    # As {#enqueue}, where other processes do the same at the same time: all but one find the job there, and make no fuss about it.
    # @param cron_at [Time]
    # @return [ActiveJob::Base, false]
    def enqueue_once(cron_at)
      return false if enqueued?(cron_at)

      BaseRecord.transaction do
        Statements.run("hold_until_commit", ["good_job_cron-#{key}-#{cron_at.to_i}"])
        enqueued?(cron_at) ? false : enqueue(cron_at)
      end
    end

    # @return [ActiveRecord::Relation<Job>]
    def jobs
      Job.where(cron_key: key.to_s)
    end

    # @return [Job, nil]
    def last_job
      jobs.order(Arel.sql("cron_at DESC NULLS LAST")).first
    end

    # @return [Time, nil]
    def last_job_at
      last_job&.cron_at&.to_time
    end

    # @return [String]
    def display_schedule
      cron_callable? ? display(cron) : @schedule.to_s
    end

    # @return [Hash{Symbol => Object}]
    def display_properties
      {
        key: key, class: display(params[:class]), cron: display_schedule, set: display(params[:set]),
        description: display(description)
      }.tap do |properties|
        %i[args kwargs].each { |name| properties[name] = display(params[name]) if params.key?(name) }
      end
    end

    private

    def check_keys
      raise ArgumentError, "GoodJob: a cron entry needs a key; #{params.inspect} has none." if params[:key].blank?
      raise ArgumentError, "GoodJob: a cron entry has the key #{params[:key].inspect}, which is no name." unless params[:key].respond_to?(:to_sym)

      unknown = (params.keys - KEYS).map(&:inspect).join(", ")
      raise ArgumentError, "GoodJob: the cron entry #{key.inspect} has #{unknown}; it may have #{KEYS.map(&:inspect).join(", ")}." if unknown.present?
      raise ArgumentError, "GoodJob: the cron entry #{key.inspect} has no class." if params[:class].blank?
    end

    def check_values
      KINDS.each do |name, (allowed, types)|
        value = params[name]
        next if value.nil? || value.respond_to?(:call) || types.any? { |type| value.is_a?(type) }

        raise ArgumentError, "GoodJob: the cron entry #{key.inspect} has #{name}: #{value.inspect}, but that must be #{allowed}, or a callable."
      end
    end

    def cron_callable?
      cron.respond_to?(:call)
    end

    def value_of(name)
      value = params[name]
      value.respond_to?(:call) && !value.is_a?(Class) ? value.call : value
    end

    def configured_job
      job_class.constantize.set(set || {})
    end

    def enqueued?(cron_at)
      jobs.exists?(cron_at: cron_at)
    end

    def display(value)
      case value
      when nil then "None"
      when Proc then value.lambda? ? "Lambda/Callable" : "Proc/Callable"
      else value.respond_to?(:call) && !value.is_a?(Class) ? "Lambda/Callable" : value
      end
    end
  end
end
