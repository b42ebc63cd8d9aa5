# frozen_string_literal: true

require_relative "writes_migrations"

module GoodJob
  # `rails generate good_job:update`: writes what tables that another version, or GoodJob itself, installed still lack.
  class UpdateGenerator < Rails::Generators::Base
    include WritesMigrations

    desc "Writes the migrations that bring existing GoodJob tables up to date."

    def create_migration_files
      if installed_by_this_gem?
        say "Nothing to do: the tables were installed by good_job_rs and are up to date."
      else
        write_migration "adopt_good_job_tables.rb"
      end
    end

    private

    def installed_by_this_gem?
      Dir.glob(File.join(destination_root, db_migrate_path, "*_create_good_jobs.rb")).any? do |file|
        File.read(file).include?("index_good_jobs_for_claim_by_queue")
      end
    end
  end
end
