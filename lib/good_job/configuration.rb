# frozen_string_literal: true

require "good_job/configuration/options"

module GoodJob
  # All settings, read once and frozen: explicit options, then config.good_job, then the environment, then defaults. The table of them
  # is {OPTIONS}; each has a reader of its name.
  class Configuration
    # Threads that use the database beside those that run jobs.
    UTILITY_THREADS = 2

    OPTIONS.each { |option| define_method(option.name) { @values.fetch(option.name) } }

    # @param explicit [Hash{Symbol => Object}] what the command line or a caller says
    # @param rails [Hash{Symbol => Object}] config.good_job
    # @param env [#[]] environment variables
    # @param cli [Boolean] whether this is the `good_job` executable
    # @raise [ArgumentError] a setting is unknown, or has a wrong type or value
    def initialize(explicit = {}, rails: self.class.rails_settings, env: ENV, rails_env: self.class.rails_env, cli: GoodJob.cli?)
      refuse_unknown(explicit, "option")
      refuse_unknown(rails, "config.good_job key")
      context = Context.new(rails_env, cli)
      @values = OPTIONS.to_h { |option| [option.name, option.resolve(explicit, rails, env, context)] }
      @values[:execution_mode] = :external if cli && %i[async async_server].include?(execution_mode)
      refuse_unreadable_cron
      @values[:poll_interval] ||= context.development? && async? ? -1.0 : 10.0
      @values.freeze
      freeze
    end

    # @return [Hash{Symbol => Object}] what the application's config.good_job says
    def self.rails_settings
      return {} unless defined?(::Rails.application) && ::Rails.application

      settings = ::Rails.application.config
      settings.respond_to?(:good_job) ? settings.good_job.to_h : {}
    end

    # What a process with these settings would have: a thread for each place in a pool, and two more that use the database, for cron and for
    # batches.
    # @param warn [Boolean] whether to log it if Active Record's pool of connections is smaller
    # @return [Integer]
    def self.total_estimated_threads(warn: false)
      configuration = GoodJob.configuration
      total = UTILITY_THREADS + Native.parse_queues(configuration.queues).sum { |pool| pool[:max_threads] || configuration.max_threads }
      connections = BaseRecord.connection_pool.size if warn
      if connections && connections < total
        LogSubscriber.log(:warn, "GoodJob has #{total} threads that use the database, but there are only #{connections} connections: raise `pool` " \
                                 "in config/database.yml, or have fewer threads.")
      end
      total
    end

    # @param string [String, nil] one pool's queues
    # @return [Hash] see {Native.parse_queues}
    # @raise [ArgumentError] it makes no sense, or is several pools
    def self.parse_queues(string)
      pools = Native.parse_queues(string.to_s)
      raise ArgumentError, "GoodJob: #{string.inspect} has #{pools.size} pools, where one is meant." if pools.size > 1

      pools.first.fetch(:queues)
    end

    def self.rails_env
      defined?(::Rails.env) ? ::Rails.env.to_s : "production"
    end

    # @return [String] the pools as they were given
    alias queue_string queues

    # @return [Boolean] whether this mode runs jobs inside the application's own processes
    def async?
      ASYNC_MODES.include?(execution_mode)
    end

    # Nothing is left to be checked: a wrong setting is an ArgumentError of {#initialize}.
    # @return [true]
    def validate!
      true
    end

    # @return [Boolean] whether this process serves web requests, or a web server is loading it
    def in_webserver?
      WebServer.around?
    end

    # @return [Integer, nil] µs; nil: no polling
    def poll_interval_us
      (poll_interval * 1_000_000).round if poll_interval.positive?
    end

    # @return [Boolean] whether config.good_job says something about this key
    def self.rails_setting?(name)
      rails_settings.key?(name)
    end

    # @return [Array<CronEntry>]
    def cron_entries
      CronEntry.all(configuration: self)
    end

    private

    # Where it is written, and not where it would first be due.
    def refuse_unreadable_cron
      cron.each do |key, params|
        raise ArgumentError, "GoodJob: the cron entry #{key.inspect} is #{params.inspect}, but must be a Hash." unless params.respond_to?(:to_hash)

        CronEntry.new(params.to_hash.merge(key: key))
      end
    end

    def refuse_unknown(settings, kind)
      unknown = settings.keys.map(&:to_sym) - OPTIONS.names - RETIRED
      return if unknown.empty?

      raise ArgumentError, "GoodJob: unknown #{kind} #{unknown.map(&:inspect).join(", ")}. Known are " \
                           "#{OPTIONS.names.join(", ")}."
    end
  end
end
