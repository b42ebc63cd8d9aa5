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
end
