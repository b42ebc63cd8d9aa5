# frozen_string_literal: true

require "good_job"

RSpec.describe GoodJob::Run do
  before do
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      retry_on(IOError, wait: 60, attempts: 2)
      retry_on(EncodingError, attempts: 1) { nil }
      discard_on(KeyError)
      rescue_from(ZeroDivisionError) { nil }

      def perform(action = nil)
        instance_exec(&self.class.actions.fetch(action)) if action
      end

      class << self
        attr_accessor :actions
      end
    end)
    MouseJob.actions = {}
    MouseJob.queue_adapter = GoodJob::Adapter.new(execution_mode: :external)
    MouseJob.logger = nil
    GoodJob.logger = Logger.new(nil)
  end

  after do
    GoodJob.logger = GoodJob::DEFAULT_LOGGER
    GoodJob.preserve_job_records = true
    GoodJob.retry_on_unhandled_error = false
    GoodJob.on_thread_error = nil
  end

  # A run of a job that does what the block does.
  def run(job = MouseJob.new("act"), claim: {}, &action)
    MouseJob.actions["act"] = action || proc {}
    run = described_class.new({ id: job.job_id, serialized_params: job.serialize.to_json, stamped: true }.merge(claim))
    run.perform { |params| ActiveJob::Base.execute(params) }
    run
  end

  it "succeeds" do
    expect(run.outcome).to eq(state: "succeeded", preserve: true)
  end

  it "fails unhandled" do
    expect(run { raise "no cheese" }.outcome).to include(state: "failed", error: "RuntimeError: no cheese", error_event: "unhandled")
  end

  it "fails handled where rescue_from takes the error" do
    expect(run { 1 / 0 }.outcome).to include(state: "failed", error: "ZeroDivisionError: divided by 0", error_event: "handled")
  end

  it "is discarded by discard_on" do
    expect(run { raise KeyError, "k" }.outcome).to include(state: "failed", error_event: "discarded")
  end

  it "is retried by retry_on, in place and with the next attempt's payload" do
    outcome = run { raise IOError, "io" }.outcome
    expect(outcome).to include(state: "retried", error: "IOError: io", error_event: "retried")
    expect(JSON.parse(outcome[:retry][:serialized_params])).to include("executions" => 1)
    expect(outcome[:retry][:scheduled_at]).to be_within(5_000_000).of((Time.now.to_f + 60) * 1_000_000)
  end

  it "stops when retry_on runs out of attempts, unhandled or handled by its block" do
    job = MouseJob.new("act").tap { |it| it.exception_executions = { "[IOError]" => 1 } }
    exhausted = run(job) { raise IOError, "io" }
    expect(exhausted.outcome).to include(state: "failed", error_event: "retry_stopped")
    expect(exhausted.unhandled_error).to be_an(IOError)

    expect(run { raise EncodingError, "e" }).to have_attributes(
      outcome: include(state: "failed", error_event: "retry_stopped"), unhandled_error: nil, handled_error: be_an(EncodingError)
    )
  end

  it "is retried without an error when the job says retry_job" do
    expect(run { retry_job(queue: "later", priority: 7) }.outcome)
      .to match(state: "retried", preserve: true, retry: include(queue_name: "later", priority: 7, scheduled_at: nil))
  end

  it "runs again as it was, for ever, with retry_on_unhandled_error" do
    GoodJob.retry_on_unhandled_error = true
    expect(run { raise "no" }.outcome).to include(state: "retried", error_event: "unhandled").and(satisfy { |outcome| !outcome.key?(:retry) })
  end

  it "leaves alone what jobs inside the job do with their errors" do
    MouseJob.actions["inner"] = proc { raise KeyError }
    expect(run { MouseJob.perform_now("inner") && nil }.outcome[:state]).to eq "succeeded"
  end

  it "is interrupted by an exception that is not among the handled ones" do
    MouseJob.actions["act"] = proc { raise Interrupt }
    job = MouseJob.new("act")
    run = described_class.new({ id: job.job_id, serialized_params: job.serialize.to_json })
    expect { run.perform { |params| ActiveJob::Base.execute(params) } }.to raise_error(Interrupt)
    expect(run.outcome[:state]).to eq "interrupted"
  end

  it "records a NotImplementedError as unhandled, though it is no StandardError" do
    expect(run { raise NotImplementedError }.outcome[:error_event]).to eq "unhandled"
  end

  it "records an InterruptError as an interruption" do
    expect(run { raise GoodJob::InterruptError, "again" }.outcome).to include(state: "failed", error_event: "interrupted")
  end

  it "is the current run inside the job only" do
    seen = nil
    run = run { seen = GoodJob::Run.current }
    expect(seen).to equal run
    expect(described_class.current).to be_nil
  end

  {
    "is NULL" => nil, "is JSON but no object" => "[1]", "is not JSON" => "{", "has no job_class" => "{}",
    "has a class that is gone" => '{"job_class":"Gone"}'
  }.each do |what, params|
    it "fails unhandled when the payload #{what}" do
      expect(run(claim: { serialized_params: params }).outcome).to include(state: "failed", error_event: "unhandled", error: /\A\w+.*: ./)
    end
  end

  it "gives the job its id, labels and concurrency key" do
    seen = nil
    job = MouseJob.new
    described_class.new({ id: job.job_id, serialized_params: job.serialize.to_json, labels: ["a"], concurrency_key: "k" }).perform do |params|
      seen = params
    end
    expect(seen).to include("provider_job_id" => job.job_id, "good_job_labels" => ["a"], "good_job_concurrency_key" => "k")
  end

  describe "preserve_job_records" do
    def preserved(setting, &action)
      GoodJob.preserve_job_records = setting
      run(&action).outcome[:preserve]
    end

    it "keeps or deletes all, or keeps what failed unhandled" do
      expect([true, false, nil, :on_unhandled_error].map { |setting| preserved(setting) }).to eq [true, false, false, false]
      expect(preserved(:on_unhandled_error) { raise "no" }).to be true
      expect(preserved(:on_unhandled_error) { raise KeyError }).to be false
    end

    it "asks a callable, showing it the job that ran, its error and how that was treated" do
      seen = nil
      expect(preserved(->(*arguments) { (seen = arguments) && nil }) { @cheese = true and raise KeyError, "k" }).to be false
      expect(seen).to match [be_a(MouseJob).and(satisfy { |job| job.instance_variable_get(:@cheese) }), be_a(KeyError), :discarded]
    end

    it "keeps the row when the callable fails, and reports that" do
      errors = []
      GoodJob.on_thread_error = errors.method(:push)
      expect(preserved(->(*) { raise "no idea" })).to be true
      expect(errors.map(&:message)).to eq ["no idea"]
    end
  end

  it "has to be counted first where the runtime says so, and where its class includes InterruptErrors" do
    payload = MouseJob.new.serialize.to_json
    counted = [{ stamp_first: true }, { stamped: true }, {}].map do |claim|
      described_class.new({ id: "1", serialized_params: payload }.merge(claim)).counted_first?
    end
    expect(counted).to eq [true, false, false]
    MouseJob.include(GoodJob::ActiveJobExtensions::InterruptErrors)
    GoodJob::ActiveJobExtensions::InterruptErrors.forget
    expect(described_class.new({ id: "1", serialized_params: payload })).to be_counted_first
    expect(described_class.new({ id: "1", serialized_params: payload, stamped: true })).not_to be_counted_first
  ensure
    GoodJob::ActiveJobExtensions::InterruptErrors.forget
  end
end
