# frozen_string_literal: true

require "good_job"
require "active_support/testing/time_helpers"

RSpec.describe GoodJob::Inline, :database do
  include ActiveSupport::Testing::TimeHelpers

  before do
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      retry_on(IOError, wait: 0, attempts: 3)
      retry_on(EncodingError, wait: 60, attempts: 3)
      discard_on(KeyError)

      class << self
        attr_accessor :ran
      end

      def perform(name, error = nil)
        self.class.ran << name
        raise error.constantize, "squeak" if error
      end
    end)
    MouseJob.ran = []
    MouseJob.logger = nil
    MouseJob.queue_adapter = adapter(:inline)
    GoodJob.logger = Logger.new(nil)
  end

  after { GoodJob.logger = GoodJob::DEFAULT_LOGGER }

  def adapter(mode)
    GoodJob::Adapter.new(execution_mode: mode)
  end

  def job
    GoodJob::Job.first
  end

  it "runs a job where it is enqueued, and leaves what a worker leaves" do
    MouseJob.perform_later("a")
    expect(MouseJob.ran).to eq ["a"]
    expect(job).to have_attributes(status: :succeeded, executions_count: 1, locked_by_id: nil, locked_at: nil, lock_type: nil)
    expect(job.executions.first).to have_attributes(status: :succeeded, job_class: "MouseJob", process_id: described_class.process_id)
  end

  it "raises what the job does not handle, and records it" do
    expect { MouseJob.perform_later("a", "RuntimeError") }.to raise_error(RuntimeError, "squeak")
    expect(job).to have_attributes(status: :discarded, error: "RuntimeError: squeak", error_event: "unhandled")
    expect(job.executions.first.error_backtrace.first).to include("inline_spec.rb")
  end

  it "holds the job's advisory lock while it runs, so that nobody takes it for abandoned, and not afterwards" do
    locks = -> { GoodJob::Statements.connection.select_value(<<~SQL) }
      SELECT count(*) FROM pg_locks
      WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    SQL
    during = []
    MouseJob.define_method(:perform) { |*| during << locks.call }
    MouseJob.perform_later("a")
    MouseJob.queue_adapter = adapter(:external)
    MouseJob.perform_later("b")
    GoodJob.perform_inline
    expect([during, locks.call]).to eq [[1, 1], 0]
  end

  it "stores nothing of a run whose job somebody else holds by its end, and reports that" do
    reported = []
    GoodJob.on_thread_error = reported.method(:push)
    MouseJob.define_method(:perform) { |*| GoodJob::Job.where(id: job_id).update_all(locked_by_id: SecureRandom.uuid) }
    MouseJob.perform_later("a")
    expect(job).to have_attributes(finished_at: nil, locked_by_id: be_present, executions: [])
    expect(reported.map(&:class)).to eq [GoodJob::LostLeaseError]
  ensure
    GoodJob.on_thread_error = nil
  end

  it "does not raise what discard_on handles" do
    MouseJob.perform_later("a", "KeyError")
    expect(job).to have_attributes(status: :discarded, error_event: "discarded")
  end

  it "retries at once in the same row until the attempts are used up" do
    expect { MouseJob.perform_later("a", "IOError") }.to raise_error(IOError)
    expect(MouseJob.ran).to eq %w[a a a]
    expect(job).to have_attributes(error_event: "retry_stopped", executions_count: 3)
    expect(job.executions.order(:created_at).map(&:error_event)).to eq %w[retried retried retry_stopped]
  end

  it "leaves a later retry and a future job for later, by the caller's clock" do
    MouseJob.perform_later("retried", "EncodingError")
    MouseJob.set(wait: 3600).perform_later("future")
    expect(MouseJob.ran).to eq ["retried"]
    expect(GoodJob::Job.all.map(&:status)).to match_array %i[retried scheduled]

    travel_to(2.hours.from_now) { expect(GoodJob.perform_inline(limit: 2)).to eq 2 }
    expect(MouseJob.ran).to eq %w[retried retried future]
  end

  it "takes part in the caller's transaction" do
    ActiveRecord::Base.transaction do
      MouseJob.perform_later("a")
      raise ActiveRecord::Rollback
    end
    expect(MouseJob.ran).to eq ["a"]
    expect(GoodJob::Job.count).to eq 0
  end

  it "deletes what shall not be preserved" do
    GoodJob.preserve_job_records = false
    MouseJob.perform_later("a")
    expect([GoodJob::Job.count, GoodJob::Execution.count]).to eq [0, 0]
  ensure
    GoodJob.preserve_job_records = true
  end

  it "finishes a cron entry's job where others are deleted" do
    GoodJob.preserve_job_records = false
    MouseJob.queue_adapter.enqueue_at(MouseJob.new("a"), nil, origin: GoodJob::JobRow::Origin.new(cron_key: "tick", cron_at: Time.utc(2030)))
    expect(job).to have_attributes(status: :succeeded, cron_key: "tick")
    expect(job.executions.count).to eq 1
  ensure
    GoodJob.preserve_job_records = true
  end

  describe "GoodJob.perform_inline" do
    before { MouseJob.queue_adapter = adapter(:external) }

    def enqueue(name, **options)
      MouseJob.set(**options).perform_later(name)
    end

    it "runs what is due in order of priority, time and queue" do
      enqueue("last", priority: 5)
      enqueue("first", priority: -1)
      enqueue("second")
      enqueue("future", wait: 60)
      expect(GoodJob.perform_inline).to eq 3
      expect(MouseJob.ran).to eq %w[first second last]
    end

    {
      "mice" => %w[mice], "mice,cats" => %w[mice cats], "-mice" => %w[dogs cats], "+cats,mice" => %w[cats mice], "*" => %w[dogs mice cats]
    }.each do |queues, ran|
      it "runs #{ran.join(", ")} for #{queues.inspect}" do
        %w[dogs mice cats].each { |queue| enqueue(queue, queue: queue) }
        GoodJob.perform_inline(queues)
        expect(MouseJob.ran).to eq ran
      end
    end

    it "stops at the limit" do
      3.times { enqueue("a") }
      expect(GoodJob.perform_inline(limit: 2)).to eq 2
      expect(GoodJob::Job.unfinished.count).to eq 1
    end

    it "stops at an error that no job handles" do
      MouseJob.perform_later("a", "RuntimeError")
      enqueue("b")
      expect { GoodJob.perform_inline }.to raise_error(RuntimeError, "squeak")
      expect(GoodJob.perform_inline).to eq 1
    end

    it "takes nil for all queues, as a variable that is not set, and a name that is a symbol" do
      2.times { enqueue("a", queue: "mice") }
      expect([GoodJob.perform_inline(:cats), GoodJob.perform_inline(:mice, limit: 1), GoodJob.perform_inline(nil)]).to eq [0, 1, 1]
    end

    it "refuses several pools" do
      expect { GoodJob.perform_inline("a;b") }.to raise_error(ArgumentError, /"a;b" has 2 pools/)
    end
  end
end
