# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe GoodJob::CurrentThread, :database, :integration do
  it "knows nothing outside of a job" do
    expect(described_class.to_h.values.compact).to be_empty
    expect(described_class).to have_attributes(active_job_id: nil, process_id: Process.pid)
  end

  it "forgets after a block what was set in it, and returns what the block returns" do
    described_class.cron_key = "outer"
    answer = described_class.within do |current|
      current.cron_key = "inner"
      current.job = :some_job
      described_class.to_h.slice(:cron_key, :job)
    end
    expect(answer).to eq(cron_key: "inner", job: :some_job)
    expect(described_class).to have_attributes(cron_key: "outer", job: nil)
  ensure
    described_class.reset
  end

  it "is reset to given values, and refuses others" do
    described_class.reset(retry_now: true, cron_key: "tick")
    expect(described_class.to_h.compact).to eq(retry_now: true, cron_key: "tick")
    described_class.reset
    expect(described_class.to_h.compact).to eq({})
    expect { described_class.reset(cheese: 1) }.to raise_error(ArgumentError, /has no cheese/)
  end

  it "belongs to one thread" do
    described_class.cron_key = "here"
    expect(Thread.new { described_class.cron_key }.value).to be_nil
  ensure
    described_class.reset
  end

  it "gives its cron entry to the jobs that are enqueued" do
    at = Time.utc(2030)
    job = described_class.within do |current|
      current.cron_key = "tick"
      current.cron_at = at
      RecordJob.perform_later
    end
    expect(row(job)).to have_attributes(cron_key: "tick", cron_at: at)
    expect(row(RecordJob.perform_later)).to have_attributes(cron_key: nil, cron_at: nil)
  end

  it "knows the job that runs" do
    stub_const("AskJob", Class.new(ActiveJob::Base) do
      class << self
        attr_accessor :seen
      end
      rescue_from(IOError) do |error|
        retry_job(error: error)
        AskJob.seen << GoodJob::CurrentThread.error_on_retry.equal?(error)
      end

      def perform
        AskJob.seen << [GoodJob::CurrentThread.active_job_id == job_id, GoodJob::CurrentThread.job.job_class]
        raise IOError if executions == 1
      end
    end)
    AskJob.seen = []
    AskJob.perform_later
    run_jobs
    expect(AskJob.seen).to eq [[true, "AskJob"], true, [true, "AskJob"]]
  end

  it "knows the very job that runs, what is done about its errors, and how the run before was cut short" do
    stub_const("ErrorJob", Class.new(ActiveJob::Base) do
      discard_on(KeyError)
      retry_on(IOError, attempts: 1) { nil }

      class << self
        attr_accessor :seen
      end

      def perform(error = nil)
        current = GoodJob::CurrentThread
        self.class.seen << [current.active_job.equal?(self), current.execution_interrupted]
        raise error.constantize if error
      end
    end)
    ErrorJob.seen = []
    treated = []
    GoodJob.preserve_job_records = lambda do |job, _error, _event|
      current = described_class
      treated << [current.active_job.equal?(job), current.error_on_discard.class, current.error_on_retry_stopped.class]
    end
    interrupted_at = Time.utc(2030, 1, 1, 0, 0, 0.5r)
    GoodJob::Job.where(id: ErrorJob.perform_later.job_id).update_all(performed_at: interrupted_at)
    run_jobs(max_threads: 1)
    %w[KeyError IOError].each { |error| ErrorJob.perform_later(error) && run_jobs }
    expect(ErrorJob.seen).to eq [[true, interrupted_at], [true, nil], [true, nil]]
    expect(treated).to eq [[true, NilClass, NilClass], [true, KeyError, NilClass], [true, NilClass, IOError]]
  end

  it "knows that the job has enqueued itself again" do
    stub_const("AgainJob", Class.new(ActiveJob::Base) do
      class << self
        attr_accessor :seen
      end

      def perform
        before = GoodJob::CurrentThread.retried_job
        enqueue if executions == 1
        self.class.seen << [before, GoodJob::CurrentThread.retried_job&.id]
      end
    end)
    AgainJob.seen = []
    job = AgainJob.perform_later
    run_jobs
    expect(AgainJob.seen).to eq [[nil, job.job_id], [nil, nil]]
  end

  it "is asked in the callbacks of an operator's retry as outside of a job" do
    stub_const("AskingJob", Class.new(ActiveJob::Base) do
      before_enqueue { SpecRun.record(self, GoodJob::CurrentThread.to_h.compact.inspect) }
      def perform = raise(IOError)
    end)
    job = AskingJob.perform_later
    run_jobs
    row(job).retry_job
    expect(events(job)).to eq ["{}", "{}"]
  end

  it "says on which thread it is, by its name or else by a number" do
    names = [Thread.new { described_class.thread_name }.value, Thread.new { (Thread.current.name = "mouse") && described_class.thread_name }.value]
    expect(names).to match [/\A\d+\z/, "mouse"]
  end

  describe "load hooks" do
    it "are run for every model, and for batches" do
      names = %i[good_job good_job_base_record good_job_job good_job_execution good_job_process good_job_setting good_job_batch good_job_batch_record]
      %i[Job Execution Process Setting BatchRecord Batch].each { |name| GoodJob.const_get(name) }
      seen = {}
      names.each { |name| ActiveSupport.on_load(name) { seen[name] = self } }
      expect(seen.keys).to match_array(names)
    end
  end
end
