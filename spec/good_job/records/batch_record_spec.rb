# frozen_string_literal: true

require_relative "../../support/integration"

RSpec.describe "GoodJob::BatchRecord", :database, :integration do
  before { GlobalID.app ||= "spec" }

  def create(**attributes)
    GoodJob::BatchRecord.create!(**attributes)
  end

  def job_with(**columns)
    RecordJob.perform_later.tap { |job| GoodJob::Job.where(id: job.job_id).update_all(columns) }
  end

  it "has jobs, and callbacks of its own" do
    batch = create
    job = job_with(batch_id: batch.id)
    callback = job_with(batch_callback_id: batch.id)
    job_with(queue_name: "mice")
    expect([batch.jobs.ids, batch.callback_jobs.ids]).to eq [[job.job_id], [callback.job_id]]
    expect([row(job).batch, row(callback).callback_batch, row(job).callback_batch]).to eq [batch, batch, nil]
  end

  it "is finished, discarded, succeeded or neither, each by a scope" do
    now = Time.current
    open = create
    discarded = create(discarded_at: now)
    failed = create(discarded_at: now, finished_at: now - 60)
    succeeded = create(finished_at: now - 3600)
    scopes = %i[finished discarded not_discarded succeeded].to_h { |scope| [scope, GoodJob::BatchRecord.public_send(scope)] }
    expect(scopes).to match(
      finished: contain_exactly(failed, succeeded), discarded: contain_exactly(discarded, failed),
      not_discarded: contain_exactly(open, succeeded), succeeded: contain_exactly(succeeded)
    )
    expect(GoodJob::BatchRecord.finished_before(now - 1800)).to eq [succeeded]
  end

  it "becomes a batch, and is shown with its properties as they were given" do
    batch = create(description: "Cheese", properties: { size: 2 })
    expect(batch.to_batch).to be_a(GoodJob::Batch).and have_attributes(id: batch.id, properties: { size: 2 })
    expect(batch.display_attributes).to include("description" => "Cheese", "properties" => { size: 2 })
    expect(batch.display_attributes).not_to have_key("serialized_properties")
  end

  it "calls the callbacks that are due when it is told to go on" do
    batch = create(on_discard: "RecordJob", on_finish: "RecordJob", enqueued_at: 1.minute.ago)
    job = row(job_with(batch_id: batch.id, finished_at: Time.current, error: "E: m"))
    waiting = job_with(batch_id: batch.id)
    batch._continue_discard_or_finish(job)
    expect(batch.reload).to have_attributes(discarded_at: be_present, jobs_finished_at: nil, finished_at: nil)
    expect(batch.callback_jobs.count).to eq 1

    GoodJob::Job.where(id: waiting.job_id).update_all(finished_at: Time.current)
    GoodJob::BatchRecord.transaction do
      batch.advisory_lock(function: "pg_advisory_xact_lock")
      batch._continue_discard_or_finish(row(waiting), lock: false)
    end
    expect(batch.reload).to have_attributes(jobs_finished_at: be_present, finished_at: nil)
    expect(batch.callback_jobs.count).to eq 2
    batch.callback_jobs.update_all(finished_at: Time.current)
    batch._continue_discard_or_finish
    expect(batch.reload.finished_at).to be_present
  end
end
