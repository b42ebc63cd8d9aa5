# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "A shutdown", :database, :integration do
  # @return [Integer] of runtimes on this database
  def sessions
    Postgres.execute(SpecDatabase.url, <<~SQL).first.fetch("count").to_i
      SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'GoodJob'
    SQL
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  # A process in which a job runs that waits for its latch, and that then does what the script says.
  def running(script, job: "LatchedJob", timeout: 0)
    ruby(<<~RUBY)
      configuration = GoodJob::Configuration.new({ max_threads: 2, shutdown_timeout: #{timeout} }, rails: {}, env: {})
      at_exit { puts "the first to be registered" }
      capsule = GoodJob::Capsule.new(configuration: configuration)
      capsule.start
      #{job}.perform_later(#{latch.path.inspect})
      wait_until("the job") { SpecRun.any? }
      #{script}
    RUBY
  end

  def expect_nothing_left
    wait_until("the sessions to end") { sessions.zero? }
    expect(registered_pids).to be_empty
    expect(GoodJob::Job.where.not(locked_by_id: nil)).to be_empty
  end

  {
    "its last line" => ["nil", 0],
    "exit" => ["exit 3", 3],
    "an error" => ["raise IOError", 1],
    "exit in an at_exit block" => ["at_exit { exit 4 }", 4],
    "an error in an at_exit block" => ["at_exit { raise IOError }", 1],
    "an error in an at_exit block that comes later" => ["capsule.shutdown(timeout: 0); at_exit { raise IOError }", 1],
    "exit in another thread" => ["Thread.new { exit 5 }.join", 5],
    "the end of its main thread" => ["Thread.main.kill", 0]
  }.each do |what, (script, status)|
    it "by #{what}, interrupts the running job, stores that, and leaves no connection and no row behind" do
      process = running(script)
      expect(process.wait(15).exitstatus).to eq status
      expect(process.output).to include "the first to be registered"
      expect_nothing_left
      expect(GoodJob::Job.first).to have_attributes(error: /\AGoodJob::InterruptedError/, finished_at: nil, performed_at: be_present)
    end
  end

  it "that is to wait for ever, waits, with whatever the process ends" do
    process = running("at_exit { puts 'leaving' }; exit 3", timeout: -1)
    process.wait_for_output(/leaving/)
    left_at = now
    wait_until("more time to pass than a shutdown takes that waits for nobody") { now - left_at > 2 }
    expect(process).to be_alive
    latch.open
    expect(process.wait(15).exitstatus).to eq 3
    expect_nothing_left
    expect(GoodJob::Job.first).to be_succeeded
  end

  it "of a worker, is not held up for ever by a job that cannot be interrupted: it is given back, and the process ends" do
    worker = running_worker("--max-threads=2", "--shutdown-timeout=0")
    job = StubbornJob.perform_later(latch.path)
    wait_for_event(job, "started")
    worker.signal(:TERM)
    expect(worker.wait(20).exitstatus).to eq 0
    expect(worker.output).to include job.job_id
    expect_nothing_left
    expect(row(job)).to have_attributes(error: /\AGoodJob::InterruptedError/, finished_at: nil)
  end

  it "of a worker, told a second time, is over at once and leaves no connection behind; the job is rescued" do
    worker = running_worker("--max-threads=2")
    job = LatchedJob.perform_later(latch.path)
    wait_for_event(job, "started")
    worker.signal(:TERM)
    worker.wait_for_output(/GoodJob is shutting down/)
    worker.signal(:INT)
    expect(worker.wait(5).exitstatus).to eq 1
    wait_until("the sessions to end") { sessions.zero? }
    running_worker("--max-threads=2")
    wait_for_event(job, "started", "started")
  end

  it "is not what a job gets that calls exit: its run is cut short, and the web server around it goes on" do
    server = puma
    wait_until_registered(server)
    job = DyingJob.perform_later("exit")
    wait_until_finished(job)
    expect(events(job)).to eq %w[died lived]
    expect(get(server, "/pid").body).to eq server.pid.to_s
    stop_server(server)
    expect_nothing_left
  end

  it "gives back at once what no thread has started, while a job still runs" do
    worker = running_worker("--max-threads=1")
    quick = Array.new(300) { QuickJob.new }
    ActiveJob::Base.queue_adapter.enqueue_all(quick)
    wait_until_finished(*quick) # from now on it takes jobs for short ones, and claims several at once
    running = LatchedJob.new(latch.path).tap { |job| job.priority = -1 }
    ActiveJob::Base.queue_adapter.enqueue_all([running] + Array.new(100) { QuickJob.new })
    held = GoodJob::Job.where.not(locked_by_id: nil).where.not(id: running.job_id)
    wait_until("claims that wait for the thread") { events(running) == ["started"] && held.any? }
    worker.signal(:TERM)
    wait_until("them to be given back", limit_seconds: 2) { held.none? }
    expect(events(running)).to eq ["started"]
    expect(row(running).locked_by_id).to be_present
    latch.open
    expect(worker.wait.exitstatus).to eq 0
    expect_nothing_left
  end

  it "is known to the job that runs, and to nobody else" do
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      class << self
        attr_accessor :inbox
      end

      def perform
        self.class.inbox << [GoodJob.current_thread_running?, GoodJob.current_thread_shutting_down?, queue_adapter.stopping?]
        Thread.pass while GoodJob.current_thread_running?
        self.class.inbox << [GoodJob.current_thread_running?, GoodJob.current_thread_shutting_down?, queue_adapter.stopping?]
      end
    end)
    MouseJob.inbox = Thread::Queue.new
    capsule = start_capsule
    MouseJob.perform_later
    expect(MouseJob.inbox.pop).to eq [true, false, false]
    capsule.shutdown(timeout: nil)
    expect(MouseJob.inbox.pop).to eq [false, true, true]
    expect([GoodJob.current_thread_running?, GoodJob.current_thread_shutting_down?]).to eq [true, nil]
  end

  describe "of a process" do
    it "is one of all its capsules, and waits for their jobs unless told otherwise" do
      idle, busy = Array.new(2) { |number| start_capsule(queues: number.zero? ? "nothing" : "*") }
      job = LatchedJob.perform_later(latch.path)
      wait_for_event(job, "started")
      expect(GoodJob).not_to be_shutdown
      ending = Thread.new { GoodJob.shutdown }
      wait_until("the shutdown to begin") { !busy.running? && idle.shutdown? }
      expect([ending, GoodJob.shutdown?]).to match [be_alive, false]
      latch.open
      ending.join(10)
      expect([row(job).succeeded?, GoodJob.shutdown?]).to eq [true, true]
    end

    it "waits for as long as it is told" do
      start_capsule
      job = LatchedJob.perform_later(latch.path)
      wait_for_event(job, "started")
      GoodJob.shutdown(timeout: 0)
      expect([row(job).error_event, GoodJob.shutdown?]).to eq ["interrupted", true]
    end

    # @return [Boolean] whether GoodJob.restart did it
    def restarts?(capsule, execution_mode, serving:)
      before = capsule.process_id
      GoodJob.configuration = GoodJob::Configuration.new({ execution_mode: execution_mode }, rails: {}, env: {}, cli: false)
      allow(GoodJob::WebServer).to receive(:serving?).and_return(serving)
      GoodJob.restart(timeout: 5)
      capsule.process_id != before
    ensure
      GoodJob.configuration = nil
    end

    it "is followed by a start by GoodJob.restart, in a web server and in the mode async only" do
      capsule = start_capsule
      # Those that other examples have left behind would start, too.
      allow(GoodJob::Capsule).to receive(:instances).and_return([capsule])
      others = %i[async_server async_all external inline].map { |mode| restarts?(capsule, mode, serving: true) }
      expect([restarts?(capsule, :async, serving: true), restarts?(capsule, :async, serving: false), *others]).to eq [true, *[false] * 5]
      wait_until_finished(RecordJob.perform_later)
    end
  end

  { "-1" => [-1, "finished"], "nil" => [nil, "finished"], "some seconds" => [0.5, "interrupted"], "0" => [0, "interrupted"] }.each do |what, (timeout, end_of_job)|
    it "with a timeout of #{what} leaves the running job #{end_of_job}" do
      capsule = start_capsule
      job = LatchedJob.perform_later(latch.path)
      wait_for_event(job, "started")
      moments = {}
      listeners = %w[start kill].map do |name|
        ActiveSupport::Notifications.subscribe("scheduler_shutdown_#{name}.good_job") { moments[name] = now }
      end
      ending = Thread.new { capsule.shutdown(timeout: timeout) }
      wait_until("the shutdown to begin") { !capsule.running? }
      ending.join if timeout.nil?
      latch.open if end_of_job == "finished"
      ending.join(10)
      wait_until("the end") { capsule.shutdown? }

      expect(now - moments.fetch("start")).to be < 5
      if end_of_job == "finished"
        expect([row(job).status, moments["kill"]]).to eq [:succeeded, nil]
      else
        expect(row(job)).to have_attributes(error_event: "interrupted", finished_at: nil)
        expect(moments.fetch("kill") - moments["start"]).to be_between(timeout, timeout + 1)
      end
      expect_nothing_left
    ensure
      listeners&.each { |listener| ActiveSupport::Notifications.unsubscribe(listener) }
    end
  end
end
