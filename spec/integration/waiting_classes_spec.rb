# frozen_string_literal: true

require_relative "../support/integration"

# In an application: it is Active Job's railtie that lets classes wait for the commit of an open transaction.
RSpec.describe "Job classes that wait for commits", :database, :integration do
  before { skip "Active Job does not wait" unless defined?(ActiveJob::EnqueueAfterTransactionCommit) }

  def run_in_application(script)
    application = rails("runner", "SpecRun.transaction { #{script} }")
    expect(application.wait(60)).to be_success
    application.output.lines(chomp: true)
  end

  it "are enqueued after it" do
    expect(run_in_application("PatientJob.perform_later; puts GoodJob::Job.count")).to eq ["0"]
    expect(GoodJob::Job.count).to eq 1
  end

  it "are part of their batches all the same, and of what is enqueued in bulk" do
    run_in_application(<<~RUBY)
      GoodJob::Batch.enqueue(on_finish: "PatientJob") do
        PatientJob.perform_later
        ActiveJob.perform_all_later(PatientJob.new, RecordJob.new)
      end
      GoodJob::Bulk.enqueue { PatientJob.perform_later("in bulk") }.each { |job| raise unless job.provider_job_id }
    RUBY
    batch = GoodJob::BatchRecord.sole
    expect(batch.jobs.count).to eq 3
    expect(batch).not_to be_jobs_finished
    expect(batch.callback_jobs).to be_empty
  end

  it "have their batches' callbacks, as part of the transaction" do
    expect(run_in_application('GoodJob::Batch.enqueue(on_finish: "PatientJob"); puts GoodJob::Job.count')).to eq ["1"]
    expect(GoodJob::BatchRecord.sole.callback_jobs.count).to eq 1
  end

  it "are enqueued by cron once for each time, which ticks in a transaction" do
    run_in_application(<<~RUBY)
      entry = GoodJob::CronEntry.new(key: "tick", class: "PatientJob", cron: "* * * * *")
      2.times { entry.enqueue_once(Time.utc(2030)) }
    RUBY
    expect(GoodJob::Job.sole).to have_attributes(cron_key: "tick", cron_at: Time.utc(2030))
  end

  it "are tried again where they run in a transaction" do
    job = AgainJob.perform_later
    run_in_application("GoodJob.perform_inline(limit: 1)")
    expect(row(job)).to have_attributes(executions_count: 1, finished_at: nil, error: "RuntimeError: not yet", error_event: "retried")
  end
end
