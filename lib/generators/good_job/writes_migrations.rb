# frozen_string_literal: true

require "rails/generators"
require "rails/generators/active_record"
require "good_job/version"

module GoodJob
  # What the generators share: migrations of the application's own Rails version, in the directory of the database that is asked for.
  module WritesMigrations
    # A refusal ends the command with a failure's status.
    module ExitsOnFailure
      def exit_on_failure?
        true
      end
    end

    def self.included(generator)
      generator.extend ExitsOnFailure
      generator.include ActiveRecord::Generators::Migration
      generator.source_root File.expand_path("templates", __dir__)
      generator.class_option :database, type: :string, aliases: %i[--db],
                                        desc: "The database that holds the queue, where the application has several"
    end

    private

    def write_migration(name)
      check_database
      migration_template "#{name}.tt", File.join(db_migrate_path, name)
    end

    # Rails would write into the primary database's directory without a word.
    def check_database
      return if options[:database].nil?

      names = ActiveRecord::Base.configurations.configs_for(env_name: Rails.env).map(&:name)
      return if names.include?(options[:database])

      raise Thor::Error, "config/database.yml has no database #{options[:database].inspect}, only #{names.map(&:inspect).join(", ")}."
    end

    def migration_version
      ActiveRecord::Migration.current_version
    end
  end
end
