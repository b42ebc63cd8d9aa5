# frozen_string_literal: true

require "net/http"
require_relative "database"
require_relative "observed_process"

# Starts the application in spec/support/app by the commands of its users. What an example started ends with it, and says what it
# printed if the example fails.
module SpecApp
  DIRECTORY = Project.path("spec/support/app")

  # @param flags [Array<String>] of `good_job start`
  def good_job(*flags, **options)
    good_job_command("start", *flags, **options)
  end

  # @param arguments [Array<String>] of `good_job`
  def good_job_command(*arguments, **options)
    launch("bin/good_job", *arguments, **options)
  end

  # Waits until it runs jobs.
  def running_worker(*flags, **options)
    good_job(*flags, **options).tap { |worker| wait_until_registered(worker) }
  end

  # @param workers [Integer] 0: single mode
  # @param preload [Boolean] whether preload_app!
  # @param fork_worker [Boolean] whether the first worker forks the others
  def puma(workers: 0, preload: false, fork_worker: false, env: {}, **options)
    env = { "WEB_CONCURRENCY" => workers.to_s, "PRELOAD" => ("1" if preload), "FORK_WORKER" => ("1" if fork_worker),
            "GOOD_JOB_EXECUTION_MODE" => "async" }.merge(env)
    launch("bundle", "exec", "puma", "--config", "config/puma.rb", "--config", Project.path("bin/support/puma_notify.rb").to_s, env: env, **options)
  end

  # Ends a web server as an operator does.
  def stop_server(server)
    server.signal(:TERM)
    server.wait(20)
  end

  def rails(*arguments, **options)
    launch("bin/rails", *arguments, **options)
  end

  # A process that loads the application for others and forks them: see spec/support/preloaders.
  # @param file [String] its path there
  def preloader(file, *arguments, mode:, **options)
    launch("ruby", "-I", Project.path("spec/support").to_s, Project.path("spec/support/preloaders/#{file}").to_s, *arguments,
           env: { "GOOD_JOB_EXECUTION_MODE" => mode }, **options)
  end

  # A plain Ruby process with the gem, Active Record and the jobs of the application, but without Rails.
  # @param script [String]
  def ruby(script, **options)
    launch("ruby", "-r", "bundler/setup", "-r", Project.path("spec/support/plain_process").to_s, "-e", script, **options)
  end

  # @return [Integer] the port that a web server says it listens on
  def port_of(server)
    Integer(server.wait_for_output(%r{Listening on http://127\.0\.0\.1:(\d+)})[1])
  end

  # @return [Net::HTTPResponse]
  def get(server, path)
    Net::HTTP.get_response("127.0.0.1", path, port_of(server))
  end

  # @return [Net::HTTPResponse]
  def post(server, path)
    Net::HTTP.post(URI("http://127.0.0.1:#{port_of(server)}#{path}"), "")
  end

  # @return [Array<Integer>] of the processes that run jobs and say so in the database
  def registered_pids
    Postgres.execute(SpecDatabase.url, "SELECT state->>'pid' AS pid FROM good_job_processes ORDER BY created_at").map do |row|
      Integer(row.fetch("pid"))
    end
  end

  # @param processes [Array<ObservedProcess>]
  def wait_until_registered(*processes)
    wait_until("process rows of #{processes.map(&:name).join(", ")}", limit_seconds: 30) do
      processes.each(&:expect_alive)
      (processes.map(&:pid) - registered_pids).empty?
    end
  end

  def launched
    @launched ||= []
  end

  private

  # @param within [Array<String>] a command that runs another one, in surroundings of its own
  def launch(*command, env: {}, configuration: "", within: [])
    environment = {
      "DATABASE_URL" => "#{SpecDatabase.url}?pool=#{SpecDatabase::POOL_SIZE}", "RAILS_ENV" => "production", "BUNDLE_GEMFILE" => ENV.fetch("BUNDLE_GEMFILE", Project.path("Gemfile").to_s),
      "SPEC_APP_CONFIGURATION" => configuration
    }
    process = ObservedProcess.new(*within, *command, environment: environment.merge(env), directory: DIRECTORY)
    launched << process
    process
  end
end

RSpec.configure do |config|
  config.include SpecApp, :integration

  config.after(:each, :integration) do |example|
    if example.exception
      said = launched.flat_map { |process| ["", "#{process.name} (#{process.pid}) said:", *process.output.lines(chomp: true).last(60)] }
      example.metadata[:extra_failure_lines] = said
    end
    launched.each(&:remove)
  end
end
