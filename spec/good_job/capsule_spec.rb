# frozen_string_literal: true

require "good_job"

RSpec.describe GoodJob::Capsule, :database do
  before do
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      class << self
        attr_accessor :inbox
      end

      def perform(action = nil)
        self.class.inbox << (action ? instance_exec(&self.class.const_get(action)) : :ran)
      end
    end)
    MouseJob.inbox = Thread::Queue.new
    MouseJob.logger = nil
    MouseJob.queue_adapter = GoodJob::Adapter.new(execution_mode: :external)
    GoodJob.logger = Logger.new(nil)
  end

  after do
    capsule.shutdown(timeout: 0)
    GoodJob.logger = GoodJob::DEFAULT_LOGGER
    GoodJob.on_thread_error = nil
  end

  let(:events) { Thread::Queue.new }
  let(:configuration) { GoodJob::Configuration.new({ max_threads: 2, queues: "*" }, rails: {}, env: {}) }
  let(:capsule) { described_class.new(configuration: configuration, observer: events.method(:push)) }

  # Enqueues a job that does what the block does.
  def enqueue(&action)
    MouseJob.const_set(:ACTION, action)
    MouseJob.perform_later("ACTION")
  end

  def outcome_of_one_job
    wait_until { GoodJob::Job.unfinished.none? }
    GoodJob::Job.first
  end

  it "starts once, and again only by a restart" do
    expect([capsule.start, capsule.start]).to eq [true, false]
    expect(capsule).to be_running
    capsule.shutdown
    expect(capsule).to be_shutdown
    expect(capsule.start).to be false
    capsule.restart
    expect(capsule).to be_running
  end

  it "is among the capsules of its process" do
    expect(described_class.instances).to include(capsule)
  end

  it "is idle while no job runs, for as long as none has run" do
    now = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
    expect(capsule).to be_idle
    capsule.start
    started_at = now.call
    gate = Thread::Queue.new
    enqueue { (MouseJob.inbox << :started) && gate.pop }
    MouseJob.inbox.pop
    expect([capsule.idle?, capsule.idle?(0)]).to eq [false, false]
    gate << :open
    outcome_of_one_job
    ended_at = now.call
    expect(capsule.idle?(ended_at - started_at)).to be false
    wait_until { now.call - ended_at > 0.4 }
    expect([capsule.idle?, capsule.idle?(0.3), capsule.idle?(30)]).to eq [true, true, false]
  end

  it "is restarted though a job cannot be interrupted, whose end leaves it alone" do
    stub_const("GoodJob::Capsule::KILL_GRACE_S", 0.1)
    ends = Thread::Queue.new
    MouseJob.singleton_class.attr_accessor :ends
    MouseJob.ends = ends
    capsule.start
    enqueue do
      Thread.handle_interrupt(Object => :never) do
        MouseJob.inbox << :started
        MouseJob.ends.pop
      end
    end
    MouseJob.inbox.pop
    capsule.restart(timeout: 0)
    ends.close
    wait_until("what waited for that job to end") { Thread.list.none? { |thread| thread.name == "good_job end" } }
    expect(capsule).to be_running
    expect(MouseJob.inbox.pop).to eq :started # the job was given back as interrupted
    expect(outcome_of_one_job).to have_attributes(status: :succeeded)
  end

  it "is told when the runtime is ready" do
    capsule.start
    expect(events.pop).to include(name: "ready", process_id: capsule.process_id)
  end

  it "runs jobs on threads with a pool's name and number" do
    capsule.start
    enqueue { Thread.current.name }
    expect(MouseJob.inbox.pop).to match(/\Agood_job \* [12]\z/)
    expect(outcome_of_one_job).to have_attributes(status: :succeeded, executions_count: 1)
  end

  it "lets a job know that it should come to an end, and waits for it" do
    capsule.start
    enqueue do
      MouseJob.inbox << GoodJob.current_thread_shutting_down?
      Thread.pass until GoodJob.current_thread_shutting_down?
      :ended
    end
    expect(MouseJob.inbox.pop).to be false
    capsule.shutdown(timeout: -1)
    expect(MouseJob.inbox.pop).to eq :ended
    expect(GoodJob::Job.first.status).to eq :succeeded
    expect(GoodJob.current_thread_shutting_down?).to be_nil
  end

  it "interrupts a job that outlasts the timeout and leaves it to the next attempt" do
    capsule.start
    enqueue do
      MouseJob.inbox << :started
      Thread.stop
    end
    MouseJob.inbox.pop
    capsule.shutdown(timeout: 0)
    expect(GoodJob::Job.first).to have_attributes(status: :running, locked_by_id: nil, performed_at: be_present)
  end

  it "only begins to shut down without a timeout" do
    capsule.start
    enqueue do
      MouseJob.inbox << :started
      Thread.pass until GoodJob.current_thread_shutting_down?
    end
    MouseJob.inbox.pop
    capsule.shutdown(timeout: nil)
    expect(capsule).not_to be_running
    wait_until { capsule.shutdown? }
  end

  describe "with something of the application's that never ends" do
    let(:reached) { Thread::Queue.new }
    let(:ever) { Thread::Queue.new }

    before { stub_const("GoodJob::Capsule::CHORES_GRACE_S", 0.05) }
    after { ever.close }

    # Where a shutdown would wait as well.
    def wait_for_ever
      reached << true
      ever.pop
    end

    def expect_end_of(capsule)
      reached.pop
      ending = Thread.new { capsule.shutdown(timeout: -1) }
      expect(ending.join(10)).to be ending
      expect(capsule).to be_shutdown
    end

    it "ends all the same, though on_thread_error has not returned" do
      GoodJob.on_thread_error = ->(_error) { wait_for_ever }
      broken = ->(event) { raise IOError, "an observer's" if event[:name] == "ready" }
      capsule = described_class.new(configuration: configuration, observer: broken)
      capsule.start
      expect_end_of(capsule)
    end

    it "ends all the same, though an entry of cron's does not say when it is due" do
      settings = { enable_cron: true, cron: { never: { cron: ->(_last) { wait_for_ever }, class: "MouseJob" } } }
      capsule = described_class.new(configuration: GoodJob::Configuration.new(settings, rails: {}, env: {}))
      capsule.start
      expect_end_of(capsule)
    end
  end

  it "replaces a thread that is killed, waiting or in a job" do
    capsule.start
    capsule.workers.each(&:kill)
    wait_until { capsule.workers.count(&:alive?) == 2 }
    enqueue { Thread.current.kill unless GoodJob::Job.find(job_id).executions_count > 1 }
    expect(outcome_of_one_job).to have_attributes(status: :succeeded, executions_count: 2)
    wait_until { capsule.workers.count(&:alive?) == 2 }
  end

  it "lets Timeout reach a job, and records what it raises" do
    capsule.start
    enqueue { Timeout.timeout(0.01) { Thread.stop } }
    expect(outcome_of_one_job).to have_attributes(status: :discarded, error: "Timeout::Error: execution expired")
  end

  it "survives an exception that no job may handle, and reports it" do
    errors = Thread::Queue.new
    GoodJob.on_thread_error = errors.method(:push)
    capsule.start
    enqueue { GoodJob::Job.find(job_id).executions_count > 1 ? :ran : raise(NoMemoryError, "full") }
    expect(errors.pop).to be_a(NoMemoryError)
    expect(MouseJob.inbox.pop).to eq :ran
    expect(outcome_of_one_job.executions.map(&:error_event)).to contain_exactly("interrupted", nil)
  end

  it "is as new in a forked process, whose end leaves the parent's work alone" do
    capsule.start
    enqueue do
      pid = fork { exit!(GoodJob::Worker.current.nil? ? 1 : 0) }
      Process.wait2(pid).last.exitstatus
    end
    MouseJob.inbox.pop
    reader, writer = IO.pipe
    Process.wait(fork { writer.write([capsule.running?, capsule.process_id, capsule.workers.size].inspect) && exit!(0) })
    writer.close
    expect(reader.read).to match(/\A\[false, "[0-9a-f-]{36}", 0\]\z/).and(satisfy { |text| !text.include?(capsule.process_id) })
    MouseJob.perform_later
    expect(MouseJob.inbox.pop).to eq :ran
  end

  it "ends the copy of a worker that a job takes along into a forked process" do
    capsule.start
    enqueue { (pid = fork) ? Process.wait2(pid).last.exitstatus : nil }
    expect(MouseJob.inbox.pop).to eq 0
    expect(outcome_of_one_job.executions.count).to eq 1
  end

  it "gives the application's connections back: a job that uses no database uses none" do
    capsule.start
    enqueue { ActiveRecord::Base.connection_pool.active_connection? ? :connected : :free }
    expect(MouseJob.inbox.pop).to eq :free
  end

  describe "lower_thread_priority=" do
    let(:configuration) { GoodJob::Configuration.new({ max_threads: 1, lower_thread_priority: false }, rails: {}, env: {}) }

    def priority_of_a_run
      MouseJob.perform_later("ACTION")
      MouseJob.inbox.pop
    end

    it "lets the application's threads go first, or as configured: before the start, while jobs run, and for a thread that replaces another" do
      MouseJob.const_set(:ACTION, -> { Thread.current.priority })
      capsule.lower_thread_priority = true
      capsule.start
      expect(priority_of_a_run).to eq(-3)
      killed = capsule.workers.each(&:kill)
      wait_until { (capsule.workers & killed).empty? && capsule.workers.any?(&:alive?) }
      expect(priority_of_a_run).to eq(-3)
      capsule.lower_thread_priority = nil
      expect(priority_of_a_run).to eq 0
    end
  end

  it "tells whoever listened at its start of each run that has ended, with what became of it" do
    told = Thread::Queue.new
    subscriber = ActiveSupport::Notifications.subscribe("finished_job_task.good_job") { |*, payload| told << payload }
    MouseJob.retry_on(IOError, wait: 60, attempts: 2)
    capsule.start
    enqueue { GoodJob::Job.find(job_id).executions_count > 1 ? :second : raise(NoMemoryError, "full") }
    expect(told.pop).to match(result: nil, error: be_a(NoMemoryError), time: be_within(60).of(Time.current))
    expect(told.pop).to include(error: nil, result: be_a(GoodJob::ExecutionResult).and(be_succeeded))
    MouseJob.const_set(:WET, -> { raise IOError, "wet" })
    job = MouseJob.perform_later("WET")
    expect(told.pop[:result]).to have_attributes(handled_error: be_a(IOError), error_event: :retried, retried?: true,
                                                 retried_job: have_attributes(id: job.job_id))
  ensure
    ActiveSupport::Notifications.unsubscribe(subscriber)
  end

  it "tells that it listens, and at the end that it does not any more" do
    told = Thread::Queue.new
    log = StringIO.new
    GoodJob.logger = Logger.new(log)
    names = %w[notifier_listen.good_job notifier_unlisten.good_job]
    subscribers = names.map { |name| ActiveSupport::Notifications.subscribe(name) { |event, *| told << event } }
    capsule.start
    expect(told.pop).to eq "notifier_listen.good_job"
    expect(capsule.snapshot[:listening]).to be true
    capsule.shutdown
    expect(told.size.positive? && told.pop).to eq "notifier_unlisten.good_job"
    expect(log.string).to match(/Notifier subscribed with LISTEN.*Notifier unsubscribed with UNLISTEN/m)
  ensure
    subscribers&.each { |subscriber| ActiveSupport::Notifications.unsubscribe(subscriber) }
  end

  describe "its tracker" do
    it "knows the id and the row of the process, and an id for jobs that the process claims by itself" do
      expect(capsule.tracker.record).to be_nil
      capsule.start
      wait_until { capsule.tracker.record }
      expect(capsule.tracker).to have_attributes(process_id: capsule.process_id, record: GoodJob::Process.first)
      expect(capsule.tracker.id_for_lock).to match(/\A\h{8}-/).and(satisfy { |id| id != capsule.process_id })
    end
  end

  describe "create_thread" do
    let(:configuration) do
      GoodJob::Configuration.new({ queues: "mice:1", enable_listen_notify: false, poll_interval: -1 }, rails: {}, env: {})
    end

    # It has looked once, and hears nothing of what is enqueued.
    def start_deaf
      capsule.start
      wait_until { capsule.snapshot[:pools].first[:empty].positive? }
    end

    def enqueue_unheard(**options)
      MouseJob.set(queue: "mice", **options).perform_later
    end

    it "has a free thread look for a job that nobody announced" do
      start_deaf
      enqueue_unheard
      expect(capsule.create_thread({ queue_name: "mice" })).to be true
      expect(MouseJob.inbox.pop).to eq :ran
      enqueue_unheard
      wait_until { capsule.create_thread }
      expect(MouseJob.inbox.pop).to eq :ran
    end

    it "has a thread look when the job is due" do
      start_deaf
      at = 0.5.seconds.from_now
      [at, at.iso8601(6)].each do |time|
        enqueue_unheard(wait_until: at)
        expect(capsule.create_thread({ "queue_name" => "mice", "scheduled_at" => time })).to be true
        expect(MouseJob.inbox.pop).to eq :ran
      end
    end

    it "says where no pool takes from the queue, no thread is free, or nothing is claimed" do
      expect(capsule.create_thread).to be_nil
      start_deaf
      expect(capsule.create_thread({ queue_name: "rats" })).to be false
      MouseJob.const_set(:ACTION, lambda {
        MouseJob.inbox << :started
        Thread.stop
      })
      MouseJob.set(queue: "mice").perform_later("ACTION")
      capsule.create_thread
      MouseJob.inbox.pop
      expect(capsule.create_thread({ queue_name: "mice" })).to be_nil
      capsule.shutdown(timeout: 0)
      expect(capsule.create_thread).to be_nil
    end
  end
end
