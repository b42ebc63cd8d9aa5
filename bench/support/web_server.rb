# frozen_string_literal: true

require "json"
require "net/http"
require "socket"
require "uri"
require_relative "../../bin/support/child_process"
require_relative "measured_process"

module Bench
  # Puma with the application in web_app, in a process of its own, where jobs run as well.
  class WebServer
    class Failed < MeasuredProcess::Failed; end

    APPLICATION = File.expand_path("web_app", __dir__)
    PUMA_NOTIFY = File.expand_path("../../bin/support/puma_notify.rb", __dir__)
    # Of Active Record: for Puma's threads and the jobs'.
    CONNECTIONS = 20
    START_LIMIT_S = 60
    STOP_LIMIT_S = 30

    # @param database_url [String]
    # @param job_threads [Integer]
    # @yieldparam server [WebServer] serves
    # @return what the block returns
    def self.open(database_url, job_threads)
      server = new(database_url, job_threads)
      server.wait_until_it_serves
      result = yield server
      server.stop
      result
    ensure
      server&.kill
    end

    attr_reader :port

    def initialize(database_url, job_threads)
      @port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
      settings = { "RAILS_ENV" => "production", "GOOD_JOB_MAX_THREADS" => job_threads.to_s, "DATABASE_URL" => "#{database_url}?pool=#{CONNECTIONS}" }
      environment = ChildProcess.without_settings.merge(settings)
      command = %w[bundle exec puma --config puma.rb --config] + [PUMA_NOTIFY, "--bind", "tcp://127.0.0.1:#{port}"]
      @child = ChildProcess.new(*command, environment: environment, chdir: APPLICATION, in: File::NULL, out: File::NULL)
    end

    def wait_until_it_serves
      deadline = now + START_LIMIT_S
      until serving?
        raise Failed, "the web server ended while it was starting; what it said is above" unless @child.alive?
        raise Failed, "the web server did not serve within #{START_LIMIT_S} s" if now > deadline

        sleep 0.05
      end
    end

    # @return [Hash] how many runs there were in it, and of how many jobs
    def runs
      JSON.parse(get("/runs").body, symbolize_names: true)
    end

    # Ends it as an operator does.
    def stop
      @child.term
      status = @child.wait(STOP_LIMIT_S)
      # It may end by the very signal that asked it to.
      return if status && (status.success? || status.termsig == Signal.list["TERM"])

      raise Failed, "the web server did not end well: #{status || "not within #{STOP_LIMIT_S} s"}"
    end

    def kill
      @child.kill
    end

    private

    def serving?
      get("/").is_a?(Net::HTTPSuccess)
    rescue SystemCallError
      false
    end

    def get(path)
      Net::HTTP.get_response(URI("http://127.0.0.1:#{port}#{path}"))
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
