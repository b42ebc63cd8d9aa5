# frozen_string_literal: true

require_relative "writes_migrations"

module GoodJob
  # `rails generate good_job:install`: writes the migration that makes the queue's tables.
  class InstallGenerator < Rails::Generators::Base
    include WritesMigrations

    desc "Writes the migration that creates GoodJob's tables."

    def create_migration_file
      write_migration "create_good_jobs.rb"
    end

    private

    TABLES = /\bgood_job(?:s|_batches|_executions|_processes|_settings)\b/

    # The statements of a file of the gem's migrations, as Ruby: each in its own call with its comment above. (One call with the comments in it
    # would never end on Rails 6.1, whose pattern for "does this write?" backtracks over leading comments.) Table names are left to the
    # application's prefix and suffix. Written into the migration, not read by it: what it did must not change when the gem is upgraded.
    def statements(name)
      text = File.read(File.expand_path("../../../migrations/#{name}.sql", __dir__))
      text.split(/\n{2,}/).map { |paragraph| ruby(*paragraph.lines.partition { |line| line.start_with?("--") }) }.join("\n")
    end

    def ruby(comment, statement)
      comment = comment.map { |line| line.sub("--", "    #") }.join
      return comment if statement.empty?

      statement = statement.join.chomp.gsub(TABLES) { |table| "\#{table(:#{table})}" }
      "#{comment}    execute <<~SQL\n#{statement.gsub(/^/, " " * 6)}\n    SQL\n"
    end
  end
end
