# frozen_string_literal: true

require "pg"

module GoodJob
  # The models' database, in the words in which the runtime wants it: libpq's settings, what to set in a session, the tables' names.
  class Database
    APPLICATION_NAME = "GoodJob"

    # @param record_class [Class] whose connection settings count
    def initialize(record_class = BaseRecord)
      @record_class = record_class
    end

    # @return [Hash{Symbol => String}] libpq's keywords: its own defaults (environment included), then Active Record's configuration
    def connection
      keywords = PG::Connection.conndefaults_hash
      # What PGSERVICE names is in the defaults already; a service of Active Record's configuration is for the runtime to refuse.
      merged = keywords.except(:service).merge(settings_of_active_record.slice(*keywords.keys))
      merged.transform_values(&:to_s).reject { |_keyword, value| value.empty? }
    end

    # @return [Hash] how a session has to be set up so that it agrees with the application's
    def session
      variables = settings.fetch(:variables, nil).to_h.transform_keys(&:to_sym)
      {
        timezone: self.class.time_zone,
        schema_search_path: (settings[:schema_search_path] || settings[:schema_order])&.to_s,
        variables: variables.reject { |name, value| value.nil? || name.to_s.casecmp?("timezone") }.transform_values { |value| variable(value) },
        application_name: settings[:application_name]&.to_s || APPLICATION_NAME
      }
    end

    # @return [Hash{Symbol => String}] the tables' names by their role in the statements
    def self.tables
      {
        jobs: Job.table_name, executions: Execution.table_name, processes: Process.table_name,
        batches: BatchRecord.table_name, settings: Setting.table_name
      }
    end

    # @return [String] the zone in which Active Record writes timestamps, by a name that Postgres knows
    def self.time_zone
      local? ? local_time_zone : "UTC"
    end

    # @return [Boolean] whether the columns hold local time (default_timezone), not UTC
    def self.local?
      (ActiveRecord.respond_to?(:default_timezone) ? ActiveRecord : ActiveRecord::Base).default_timezone == :local
    end

    # The variable TZ, else the system's zone, else the present offset, which does not know about summer time.
    def self.local_time_zone
      named = ENV["TZ"].to_s.delete_prefix(":")
      return named unless named.empty? || named.start_with?("/")

      zone_of_link || "<local>#{Time.now.strftime("%:z").tr("+-", "-+")}"
    end

    def self.zone_of_link
      File.readlink("/etc/localtime")[%r{zoneinfo/(?:posix/|right/)?(.+)\z}, 1]
    rescue SystemCallError
      nil
    end

    private_class_method :local_time_zone, :zone_of_link

    private

    # Active Record's names for libpq's, as its PostgreSQL adapter maps them.
    def settings_of_active_record
      mapped = settings.compact
      mapped[:user] = mapped.delete(:username) if mapped[:username]
      mapped[:dbname] = mapped.delete(:database) if mapped[:database]
      mapped[:sslmode] ||= "require" if mapped[:requiressl].to_s == "1"
      mapped
    end

    def settings
      @settings ||= postgresql_settings
    end

    def postgresql_settings
      config = @record_class.connection_db_config
      return config.configuration_hash if config.adapter.to_s.match?(/postg/i)

      raise DatabaseError, "GoodJob needs PostgreSQL, but the database #{config.name.inspect} of #{@record_class} has the adapter " \
                           "#{config.adapter.inspect}. Set GoodJob.active_record_parent_class to the name of a model class that is " \
                           "connected to PostgreSQL."
    end

    # nil stands for DEFAULT.
    def variable(value)
      value.to_s unless [:default, ":default"].include?(value)
    end
  end
end
