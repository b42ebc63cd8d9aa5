# frozen_string_literal: true

require_relative "../support/integration"
require_relative "../support/listener"

RSpec.describe "The inline mode", :database, :integration do
  before do
    use_adapter(:inline)
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      retry_on(IOError, wait: 0, attempts: 3)

      class << self
        attr_accessor :action
      end

      def perform(*)
        instance_exec(&self.class.action)
      end
    end)
  end

  let(:runs) { [] }

  def enqueue(options = {}, &action)
    MouseJob.action = action
    MouseJob.set(options).perform_later
  end

  it "runs a job where and when it is enqueued, and keeps its rows" do
    thread = nil
    job = enqueue { thread = Thread.current }
    expect(thread).to be Thread.current
    expect(row(job)).to have_attributes(finished_at: be_present, error: nil, locked_by_id: nil, executions_count: 1)
    expect(executions(job)).to match [have_attributes(error: nil, finished_at: be_present)]
  end

  it "raises what a job does not handle, and stores it" do
    expect { enqueue { raise "no cheese" } }.to raise_error(RuntimeError, "no cheese")
    expect(GoodJob::Job.first).to have_attributes(error: "RuntimeError: no cheese", error_event: "unhandled", finished_at: be_present)
  end

  it "runs an immediate retry at once, in the same row" do
    noted = runs
    job = enqueue { noted << executions and (raise IOError if executions < 3) }
    expect(runs).to eq [1, 2, 3]
    expect(executions(job).map(&:error_event)).to eq ["retried", "retried", nil]
    expect(row(job)).to be_succeeded
  end

  it "runs jobs that jobs enqueue" do
    noted = runs
    enqueue do
      noted << self.class.action
      self.class.action = proc { noted << :inner }
      MouseJob.perform_later
    end
    expect(runs.last).to eq :inner
    expect(GoodJob::Job.succeeded.count).to eq 2
  end

  it "runs at once in a transaction, and leaves nothing when that is rolled back" do
    noted = runs
    ActiveRecord::Base.transaction do
      enqueue { noted << GoodJob::Job.count }
      expect(runs).to eq [1]
      raise ActiveRecord::Rollback
    end
    expect([GoodJob::Job.count, GoodJob::Execution.count]).to eq [0, 0]
  end

  it "announces only what it leaves to others" do
    later = nil
    heard = Listener.during(SpecDatabase.url) do
      enqueue { nil }
      later = enqueue({ wait: 60, queue: "later" }) { nil }
    end
    expect(heard.map { |payload| payload["queue_name"] }).to eq ["later"]
    expect(row(later).performed_at).to be_nil
  end

  it "leaves to perform_inline what Job#retry_job puts back" do
    noted = runs
    expect { enqueue { noted << executions and (raise "no cheese" if executions == 1) } }.to raise_error(RuntimeError)
    GoodJob::Job.first.retry_job
    expect(runs).to eq [1]
    expect(GoodJob.perform_inline).to eq 1
    expect(runs).to eq [1, 2]
  end

  it "goes by the caller's clock: what is not due waits for perform_inline and time travel" do
    noted = runs
    start = Time.utc(2035, 6, 1, 12)
    travel_to(start)
    job = enqueue({ wait: 1.hour }) { noted << Time.current }
    expect(GoodJob.perform_inline).to eq 0
    travel_to(start + 61.minutes)
    expect(GoodJob.perform_inline).to eq 1
    expect(runs).to eq [start + 61.minutes]
    expect(row(job)).to have_attributes(created_at: start, scheduled_at: start + 1.hour, performed_at: start + 61.minutes,
                                        finished_at: start + 61.minutes)
  end

  describe "perform_inline" do
    before { use_adapter(:external) }

    def enqueue_into(*queues)
      queues.each { |queue| RecordJob.set(queue: queue).perform_later(queue) }
    end

    it "runs what is due, in order, until there is nothing, and counts" do
      RecordJob.set(priority: 2).perform_later("second")
      RecordJob.set(priority: 1).perform_later("first")
      RecordJob.set(wait: 60).perform_later("later")
      expect(GoodJob.perform_inline).to eq 2
      expect(events).to eq %w[first second]
    end

    it "runs the jobs of the queues it is told, in their order where there is a plus" do
      enqueue_into("cats", "mice", "rats", "mice")
      expect(GoodJob.perform_inline("+mice,rats")).to eq 3
      expect(GoodJob.perform_inline("-cats")).to eq 0
      expect(events).to eq %w[mice mice rats]
      expect { GoodJob.perform_inline("mice;cats") }.to raise_error(ArgumentError, /"mice;cats" has 2 pools/)
    end

    it "runs no more than its limit" do
      enqueue_into("a", "b", "c")
      expect(GoodJob.perform_inline("*", limit: 2)).to eq 2
      expect(GoodJob.perform_inline(limit: 5)).to eq 1
    end

    it "raises what a job does not handle, and leaves those after it" do
      enqueue { raise "no cheese" }
      rest = RecordJob.perform_later
      expect { GoodJob.perform_inline }.to raise_error(RuntimeError, "no cheese")
      expect(row(rest).performed_at).to be_nil
      expect(GoodJob.perform_inline).to eq 1
    end
  end
end
