# frozen_string_literal: true

require "socket"
require "tmpdir"
require "good_job"

RSpec.describe GoodJob::Systemd do
  around do |example|
    Dir.mktmpdir do |directory|
      @path = File.join(directory, "notify")
      @socket = Socket.new(:UNIX, :DGRAM)
      @socket.bind(Socket.pack_sockaddr_un(@path))
      example.run
    ensure
      @socket.close
    end
  end

  before { GoodJob.logger = Logger.new(nil) }

  after do
    @systemd&.stop
    GoodJob.logger = GoodJob::DEFAULT_LOGGER
  end

  def start(**variables)
    @systemd = described_class.new({ "NOTIFY_SOCKET" => @path, **variables.transform_keys(&:to_s) }).tap(&:start)
    expect(heard).to eq "READY=1"
  end

  # @return [String] what it is told next
  def heard
    @socket.wait_readable(10) ? @socket.recv(100) : raise("systemd was told nothing")
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  def threads
    Thread.list.count { |thread| thread.name == "good_job systemd" }
  end

  it "tells the watchdog in half of its time that the process lives" do
    start(WATCHDOG_USEC: "400000")
    times = Array.new(5) { [heard, now] }
    expect(times.map(&:first)).to all(eq("WATCHDOG=1"))
    expect(times.last.last - times.first.last).to be_between(0.7, 1.5) # four times 0.2 s
  end

  it "tells a watchdog that is meant for this process, and none that is meant for another" do
    start(WATCHDOG_USEC: "5000000", WATCHDOG_PID: Process.pid.to_s)
    expect([heard, threads]).to eq ["WATCHDOG=1", 1]
    @systemd.stop

    start(WATCHDOG_USEC: "5000000", WATCHDOG_PID: Process.ppid.to_s)
    @systemd.stopping
    expect([heard, threads]).to eq ["STOPPING=1", 0]
  end
end
