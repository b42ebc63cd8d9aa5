# frozen_string_literal: true

require "rack"
require "socket"
require "stringio"
require "tmpdir"
require_relative "../support/integration"

RSpec.describe "The command's flags", :database, :integration do
  def free_port
    server = TCPServer.new("127.0.0.1", 0)
    server.addr[1]
  ensure
    server&.close
  end

  def probe(port, path)
    Net::HTTP.get_response("127.0.0.1", path, port)
  rescue Errno::ECONNREFUSED
    nil
  end

  describe "--idle-timeout" do
    it "ends the process when no job has run for so long" do
      job = RecordJob.perform_later
      worker = good_job("--idle-timeout=2")
      expect(worker.wait(20)).to be_success
      expect(row(job)).to be_finished
      expect(GoodJob::Process.count).to eq 0
    end

    it "does not end it while a job runs" do
      job = LatchedJob.perform_later(latch.path)
      worker = running_worker("--idle-timeout=1")
      wait_for_event(job, "started")
      RecordJob.set(wait: 2).perform_later
      wait_until("another job to have run") { GoodJob::Job.finished.count == 1 }
      expect(worker).to be_alive
      latch.open
      expect(worker.wait(20)).to be_success
    end
  end

  describe "--probe-port" do
    it "answers whether the process lives, has started and is connected" do
      port = free_port
      worker = running_worker("--probe-port=#{port}")
      wait_until("the probe to say that it is connected") { probe(port, "/status/connected")&.code == "200" }
      answers = %w[/ /status /status/started /status/connected /other].to_h { |path| [path, probe(port, path)] }
      expect(answers.transform_values { |answer| [answer.code, answer.body] }).to eq(
        "/" => %w[200 OK], "/status" => %w[200 OK], "/status/started" => %w[200 Started], "/status/connected" => %w[200 Connected],
        "/other" => ["404", "Not found"]
      )
      worker.stop
      expect(probe(port, "/")).to be_nil
    end

    it "says so when the port is taken" do
      taken = TCPServer.new("0.0.0.0", 0)
      worker = good_job("--probe-port=#{taken.addr[1]}")
      expect(worker.wait(20)).not_to be_success
      expect(worker.output).to match(/probe_port is #{taken.addr[1]}, but nothing can listen there/)
    ensure
      taken&.close
    end
  end

  describe "--enable-cron" do
    it "enqueues the jobs of the entries" do
      entries = "config.good_job.cron = { tick: { cron: '* * * * * *', class: 'RecordJob' } }"
      running_worker("--enable-cron", configuration: entries)
      wait_until("a tick") { GoodJob::Job.where(cron_key: "tick").finished.any? }
    end
  end

  describe "--daemonize" do
    it "runs in the background, with a pidfile that goes with it" do
      Dir.mktmpdir do |directory|
        pidfile = File.join(directory, "good_job.pid")
        command = good_job("--daemonize", "--pidfile=#{pidfile}")
        expect(command.wait(20)).to be_success
        wait_until("the pidfile") { File.exist?(pidfile) && !File.read(pidfile).empty? }
        pid = Integer(File.read(pidfile))
        expect(pid).not_to eq command.pid
        wait_until("it to be registered") { registered_pids.include?(pid) }
        expect(File.readlink("/proc/#{pid}/cwd")).to eq SpecApp::DIRECTORY.realpath.to_s
        job = RecordJob.perform_later
        wait_until_finished(job)

        second = good_job("--daemonize", "--pidfile=#{pidfile}")
        expect(second.wait(20)).not_to be_success
        expect(second.output).to include "it is running already, as process #{pid}"

        Process.kill(:TERM, pid)
        wait_until("the pidfile to be gone") { !File.exist?(pidfile) }
      ensure
        Process.kill(:KILL, pid) if pid && File.exist?("/proc/#{pid}") && registered_pids.include?(pid)
      end
    end

    it "says so when there is no place for the pidfile" do
      worker = good_job("--daemonize", "--pidfile=/nowhere/good_job.pid")
      expect(worker.wait(20)).not_to be_success
      expect(worker.output).to include "there is no directory /nowhere that may be written to"
    end
  end

  describe "systemd" do
    it "is told that the process is ready, alive and stopping" do
      Dir.mktmpdir do |directory|
        socket = Socket.new(:UNIX, :DGRAM)
        socket.bind(Socket.pack_sockaddr_un(File.join(directory, "notify")))
        heard = Thread::Queue.new
        listener = Thread.new { loop { heard << socket.recv(100) } }
        worker = running_worker(env: { "NOTIFY_SOCKET" => File.join(directory, "notify"), "WATCHDOG_USEC" => "200000" })
        states = []
        wait_until("three signs of life") { (states << heard.pop).count("WATCHDOG=1") >= 3 }
        expect(states.first).to eq "READY=1"
        worker.stop
        wait_until("it to say that it stops") { heard.pop == "STOPPING=1" }
      ensure
        listener&.kill
        socket&.close
      end
    end
  end
end

RSpec.describe GoodJob::ProbeServer do
  # @return [Net::HTTPResponse]
  def ask(server, path)
    Net::HTTP.get_response("127.0.0.1", path, server.port)
  end

  def serving(**options)
    server = described_class.new(port: 0, **options).start
    yield server
  ensure
    server&.stop
  end

  it "serves any Rack application, and what goes wrong in it is an answer" do
    app = ->(env) { env["PATH_INFO"] == "/bad" ? raise(IOError, "no") : [200, { "X-Mouse" => "grey" }, [env["PATH_INFO"], "?", env["QUERY_STRING"]]] }
    reported = []
    allow(GoodJob).to receive(:report_error) { |error| reported << error.message }
    serving(app: app) do |server|
      expect(ask(server, "/a?b=1").body).to eq "/a?b=1"
      expect(ask(server, "/a")["X-Mouse"]).to eq "grey"
      expect(ask(server, "/bad").code).to eq "503"
    end
    expect(reported).to eq ["no"]
  end

  # WEBrick is not in the bundle: it is taken from where this machine has it.
  def load_webrick
    $LOAD_PATH.concat(Gem.path.flat_map { |path| Dir[File.join(path, "gems/webrick-*/lib")] })
    require "webrick"
  rescue LoadError
    skip "WEBrick is not installed"
  end

  it "is served by WEBrick where that is asked for" do
    load_webrick
    serving(handler: :webrick) do |server|
      expect([ask(server, "/status").code, ask(server, "/nothing").code]).to eq %w[200 404]
      expect(ask(server, "/status")["Server"]).to include "WEBrick"
    end
  end

  it "is not started when nothing runs jobs" do
    serving do |server|
      answers = %w[/status/started /status/connected].map { |path| ask(server, path) }
      expect(answers.map { |answer| [answer.code, answer.body] }).to eq [["503", "Not started"], ["503", "Not connected"]]
    end
  end

  describe "in a process that runs jobs", :database, :integration do
    # Of the announcements' session is known at once that it is lost, of the others' when they are needed.
    { "listens" => true, "does not listen" => false }.each do |does, enable_listen_notify|
      it "is not connected while there is no database, where it #{does}" do
        capsule = start_capsule(enable_listen_notify: enable_listen_notify)
        # Those that other examples have left behind do not run any more.
        allow(GoodJob::Capsule).to receive(:instances).and_return([capsule])
        serving do |server|
          answers = -> { %w[/status/started /status/connected].map { |path| ask(server, path).body } }
          wait_until("it to be connected") { answers.call == %w[Started Connected] }
          SpecDatabase.closed { wait_until("it not to be") { answers.call == ["Started", "Not connected"] } }
          wait_until("it to be connected again") { answers.call == %w[Started Connected] }
        end
      end
    end
  end

  it "is there on all of the host's addresses" do
    load_webrick
    [nil, "webrick"].each do |handler|
      serving(handler: handler) { |server| expect(Net::HTTP.get_response("127.0.0.2", "/", server.port).code).to eq "200" }
    end
  end

  it "has an application that any Rack server can serve" do
    answers = %w[/ /status /status/started /other].to_h { |path| [path, Rack::MockRequest.new(described_class.default_app).get(path)] }
    expect(answers.transform_values { |answer| [answer.status, answer.body] }).to include(
      "/" => [200, "OK"], "/status" => [200, "OK"], "/status/started" => [503, "Not started"], "/other" => [404, "Not found"]
    )
  end

  it "has parts that can stand in a Rack stack of one's own" do
    health = described_class::HealthcheckMiddleware
    nothing = described_class::NotFoundApp
    stack = Rack::Builder.app do
      use health
      run ->(env) { env["PATH_INFO"] == "/mice" ? [200, {}, ["squeak"]] : nothing.call(env) }
    end
    answers = %w[/status /mice /rats].map { |path| Rack::MockRequest.new(stack).get(path) }
    expect(answers.map { |answer| [answer.status, answer.body] }).to eq [[200, "OK"], [200, "squeak"], [404, "Not found"]]
  end

  it "is served without WEBrick, and warns of that, where that is not installed" do
    log = StringIO.new
    GoodJob.logger = Logger.new(log)
    server = described_class.new(port: 0, handler: "webrick")
    allow(server).to receive(:require).with("webrick").and_raise(LoadError)
    server.start
    expect(ask(server, "/status").code).to eq "200"
    expect(log.string).to match(/WARN.*WEBrick is not installed/)
  ensure
    server&.stop
    GoodJob.logger = GoodJob::DEFAULT_LOGGER
  end

  it "bears requests that are none" do
    serving do |server|
      ["", "\r\n", "GET\r\n", "#{"x" * 20_000}\r\n", "\xFF\x00 / \r\n"].each do |garbage|
        TCPSocket.open("127.0.0.1", server.port) { |socket| socket.write(garbage) rescue nil } # rubocop:disable Style/RescueModifier
      end
      expect(ask(server, "/status").code).to eq "200"
      expect(server).to be_running
    end
  end

  it "can be stopped twice, and started again" do
    server = described_class.new(port: 0).start
    2.times { server.stop }
    expect(server).not_to be_running
    expect(server.start).to be_running
    server.stop
  end
end
