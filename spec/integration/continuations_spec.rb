# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "Active Job's continuations", :database, :integration do
  before { skip "Active Job has none" unless defined?(ActiveJob::Continuable) }

  def define_job(&block)
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      include ActiveJob::Continuable
      include GoodJob::ActiveJobExtensions::InterruptErrors

      self.resume_options = { wait: 0 }
      class_eval(&block)
    end)
  end

  # A job that has put itself back is one that was tried again, without an error: not one that was cut short.
  def expect_resumed(job, times)
    expect(row(job)).to be_succeeded & have_attributes(executions_count: times + 1, error: nil, error_event: nil)
    expect(executions(job).map { |execution| [execution.error, execution.error_event] }).to eq [[nil, nil]] * (times + 1)
  end

  it "lets a job go on in another worker, where it was when its own was told to stop" do
    worker = running_worker
    job = CountingJob.perform_later(latch.path)
    wait_for_event(job, "prepared", "zero", "one")
    worker.signal(:TERM)
    worker.wait_for_output(/GoodJob is shutting down/)
    latch.open
    expect(worker.wait.exitstatus).to eq 0
    expect(row(job)).to have_attributes(locked_by_id: nil, finished_at: nil, performed_at: nil, error: nil)
    expect(row(job).serialized_params["continuation"]).to eq("completed" => ["prepare"], "current" => ["count", 2])
    expect(worker.output).not_to match(/Interrupt|errored/)

    running_worker
    wait_until_finished(job)
    expect(events(job)).to eq %w[prepared zero one two three]
    expect_resumed(job, 1)
  end

  it "runs a step apart that wants to be" do
    define_job do
      define_method(:perform) do
        step(:first) { SpecRun.record(self, "first #{executions}") }
        step(:second, isolated: true) { SpecRun.record(self, "second #{executions}") }
      end
    end
    job = MouseJob.perform_later
    run_jobs
    expect(events(job)).to eq ["first 1", "second 2"]
    expect_resumed(job, 1)
  end

  it "resumes a job by itself where an error comes after some progress" do
    define_job do
      define_method(:perform) do
        step(:count, start: 0) do |step|
          SpecRun.record(self, "from #{step.cursor}")
          step.set!(step.cursor + 1)
          raise "later" if step.cursor < 3
        end
      end
    end
    job = MouseJob.perform_later
    run_jobs
    expect(events(job)).to eq ["from 0", "from 1", "from 2"]
    expect_resumed(job, 2)
  end

  it "ends a job with an error that comes before any progress" do
    define_job { define_method(:perform) { step(:count) { raise "at once" } } }
    job = MouseJob.perform_later
    run_jobs
    expect(row(job)).to have_attributes(status: :discarded, error: "RuntimeError: at once", error_event: "unhandled", executions_count: 1)
  end

  it "ends a job that has been resumed as often as it may" do
    define_job do
      self.max_resumptions = 2
      define_method(:perform) do
        step(:count, start: 0) do |step|
          step.set!(step.cursor + 1)
          raise "never done"
        end
      end
    end
    job = MouseJob.perform_later
    run_jobs
    expect(row(job)).to have_attributes(status: :discarded, error: /\AActiveJob::Continuation::ResumeLimitError: /, error_event: "unhandled")
    expect(executions(job).map(&:error_event)).to eq [nil, nil, "unhandled"]
  end

  it "goes on with a discarded job where it was stored last, when an operator retries it" do
    define_job do
      self.resume_errors_after_advancing = false
      define_method(:perform) do
        step(:first) { SpecRun.record(self, "first") }
        step(:second, isolated: true) { executions < 3 ? raise("not yet") : SpecRun.record(self, "second") }
      end
    end
    job = MouseJob.perform_later
    run_jobs
    expect(row(job)).to be_discarded
    row(job).retry_job
    run_jobs
    expect(row(job)).to be_succeeded
    expect(events(job)).to eq %w[first second]
  end

  it "leaves what a job puts back in the inline modes to the next call" do
    define_job do
      self.resume_options = { wait: 60 }
      define_method(:perform) do
        step(:first) { SpecRun.record(self, "first") }
        step(:second, isolated: true) { SpecRun.record(self, "second") }
      end
    end
    job = MouseJob.perform_later
    expect(GoodJob.perform_inline).to eq 1
    expect(events(job)).to eq ["first"]
    expect(row(job)).to have_attributes(locked_by_id: nil, scheduled_at: be > 30.seconds.from_now)

    travel(61)
    expect(GoodJob.perform_inline).to eq 1
    expect(events(job)).to eq %w[first second]
    expect_resumed(job, 1)
  end
end
