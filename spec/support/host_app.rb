# frozen_string_literal: true

require "fileutils"
require "json"
require "open3"
require "timeout"
require "tmpdir"
require_relative "postgres"

# A small Rails application in a directory of its own, driven from outside as a user drives it.
class HostApp
  class CommandFailed < StandardError; end

  attr_reader :directory

  # @param databases [Hash{Symbol => String}] database names; the first is the primary one
  # @param configuration [String] lines for the application class
  # @param frameworks [Array<String>] what it requires before the gem
  def initialize(databases:, configuration: "", frameworks: %w[active_record/railtie])
    @directory = Dir.mktmpdir("host_app")
    write "config/database.yml", { "test" => databases.to_h { |name, database| [name.to_s, database_settings(name, database)] } }.to_json
    write "config/application.rb", <<~RUBY
      require "logger"
      require "rails"
      #{frameworks.map { |name| "require #{name.inspect}" }.join("\n")}
      require "good_job_rs"
      class HostApplication < Rails::Application
        config.load_defaults Rails::VERSION::STRING.to_f
        config.eager_load = false
        config.logger = Logger.new(nil)
        #{configuration}
      end
    RUBY
    write "config/environment.rb", "require_relative \"application\"\nRails.application.initialize!\n"
    write "Rakefile", "require_relative \"config/application\"\nRails.application.load_tasks\n"
    write "bin/rails", "APP_PATH = File.expand_path(\"../config/application\", __dir__)\nrequire \"rails/commands\"\n"
  end

  # @return [String] what the command printed
  def rails(*arguments, env: {})
    environment = { "RAILS_ENV" => "test", "DATABASE_URL" => nil, "RUBYLIB" => Project.path("lib").to_s }.merge(env)
    output, status = Open3.popen2e(environment, RbConfig.ruby, "bin/rails", *arguments, chdir: directory) do |_input, reader, process|
      [read_within(60, reader, process), process.value]
    end
    raise CommandFailed, "rails #{arguments.join(" ")}:\n#{output}" unless status.success?

    output
  end

  def files(pattern)
    Dir.glob(pattern, base: directory).sort
  end

  def read(path)
    File.read(File.join(directory, path))
  end

  def write(path, text)
    file = File.join(directory, path)
    FileUtils.mkdir_p(File.dirname(file))
    File.write(file, text)
  end

  def remove
    FileUtils.remove_entry(directory)
  end

  private

  def read_within(limit_seconds, reader, process)
    Timeout.timeout(limit_seconds) { reader.read }
  rescue Timeout::Error
    Process.kill(:KILL, process.pid)
    "killed: not done within #{limit_seconds} s\n#{reader.read}"
  end

  def database_settings(name, database)
    { "adapter" => "postgresql", "url" => Postgres.url(database), "migrations_paths" => name == :primary ? "db/migrate" : "db/#{name}_migrate" }
  end
end
