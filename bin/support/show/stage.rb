# frozen_string_literal: true

require "fileutils"
require "net/http"
require "socket"
require_relative "../child_process"

module Show
  # The application's processes: Puma, a worker, and this one, which only enqueues.
  class Stage
    class Failed < StandardError; end

    APPLICATION = File.expand_path("../../../examples/demo", __dir__)
    PUMA_NOTIFY = File.expand_path("../puma_notify.rb", __dir__)
    WEB_QUEUES = "mice:2"
    WORKER_QUEUES = "elephants:4;mice:2;+lions,lambs:1;ring,caves,nights:3"
    START_LIMIT_S = 60
    STOP_LIMIT_S = 30
    LOG_LINES_SHOWN = 30

    # How a process ended.
    Exit = Struct.new(:name, :status, :seconds) do
      # A web server may end by the very signal that asked it to.
      def clean?
        !status.nil? && (status.success? || status.termsig == Signal.list["TERM"])
      end
    end

    # @param database_url [String]
    # @yieldparam stage [Stage]
    def self.open(database_url)
      stage = new(database_url)
      yield stage
    ensure
      stage&.kill
    end

    # @return [String]
    attr_reader :database_url

    def initialize(database_url)
      @database_url = database_url
      @environment = { **ChildProcess.without_settings, "DATABASE_URL" => database_url, "RAILS_ENV" => "production" }
      @children = {}
      FileUtils.mkdir_p(File.join(APPLICATION, "log"))
    end

    def migrate
      run("migration", "bin/rails", "db:migrate")
      status = @children.delete("migration").wait(START_LIMIT_S)
      fail_with("migration", "did not succeed") unless status&.success?
    end

    # In this process, which enqueues.
    def load_application
      ENV.update({ **@environment, "DEMO_PART" => "show" })
      require File.join(APPLICATION, "config/environment")
    end

    def start
      run("web", *%w[bundle exec puma --config config/puma.rb --config], PUMA_NOTIFY, "--bind", "tcp://127.0.0.1:#{port}")
      run("worker", "bin/good_job", "start", "--queues=#{WORKER_QUEUES}", "--probe-port=#{probe_port}")
      wait_for("web") { serving? }
      @children.each { |name, child| wait_for(name) { runs_jobs?(child) } }
    end

    def url
      "http://127.0.0.1:#{port}"
    end

    # @return [String] with which status the worker answers
    def probe(path)
      Net::HTTP.get_response(URI("http://127.0.0.1:#{probe_port}#{path}")).code
    end

    # Asks both to end, as an operator does.
    # @return [Array<Exit>]
    def stop
      started = now
      @children.each_value(&:term)
      exits = @children.map { |name, child| Exit.new(name, child.wait(STOP_LIMIT_S), now - started) }
      kill
      exits
    end

    def kill
      @children.each_value(&:kill)
      @children.clear
      ActiveRecord::Base.connection_handler.clear_all_connections! if defined?(ActiveRecord::Base)
    end

    private

    def run(name, *command)
      environment = { **@environment, "DEMO_PART" => name }
      @children[name] = ChildProcess.new(*command, environment: environment, chdir: APPLICATION, in: File::NULL, %i[out err] => [log(name), "w"])
    end

    def serving?
      Net::HTTP.get_response(URI(url)).is_a?(Net::HTTPSuccess)
    rescue SystemCallError
      false
    end

    def runs_jobs?(child)
      GoodJob::Process.where("(state->>'pid')::int = ?", child.pid).exists?
    end

    def wait_for(name)
      deadline = now + START_LIMIT_S
      until yield
        fail_with(name, "ended while it was starting") unless @children.fetch(name).alive?
        fail_with(name, "did not start within #{START_LIMIT_S} s") if now > deadline
        sleep 0.05
      end
    end

    def fail_with(name, what)
      tail = File.readlines(log(name)).last(LOG_LINES_SHOWN).join
      raise Failed, "the #{name} process #{what}. The end of #{log(name)}:\n#{tail}"
    end

    def log(name)
      File.join(APPLICATION, "log", "#{name}.log")
    end

    def port
      @port ||= free_port
    end

    def probe_port
      @probe_port ||= free_port
    end

    def free_port
      TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
