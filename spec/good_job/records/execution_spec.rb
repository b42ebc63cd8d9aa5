# frozen_string_literal: true

require "rails"
require_relative "../../support/integration"

RSpec.describe "GoodJob::Execution", :database, :integration do
  let(:start) { Time.utc(2035, 1, 1, 12) }

  def create(**attributes)
    GoodJob::Execution.create!(active_job_id: SecureRandom.uuid, created_at: start, scheduled_at: start - 10, **attributes)
  end

  def status_of(job, **attributes)
    create(active_job_id: job.job_id, **attributes).status
  end

  it "is running, succeeded, retried or, once its job has ended, discarded" do
    job = RecordJob.perform_later
    success = { finished_at: start }
    failure = { finished_at: start, error: "E: m" }
    expect([status_of(job), status_of(job, **success), status_of(job, **failure)]).to eq %i[running succeeded retried]
    GoodJob::Job.where(id: job.job_id).update_all(finished_at: start)
    expect([status_of(job, **success), status_of(job, **failure)]).to eq %i[succeeded discarded]
  end

  it "says which attempt it was, when it was, how long it had waited and how long it took" do
    execution = create(finished_at: start + 3, duration: 2.5.seconds, serialized_params: { "executions" => 2 })
    expect(execution).to have_attributes(performed_at: start, number: 3, queue_latency: 10, runtime_latency: 2.5.seconds, last_status_at: start + 3)
    under_way = create
    expect(under_way).to have_attributes(number: 1, runtime_latency: nil, last_status_at: start)
    expect(GoodJob::Execution.where(performed_at: start).count).to eq 2
  end

  it "says how long an attempt lasted that was cut short" do
    expect(create(finished_at: start + 4, error: "E: m", error_event: :interrupted).interrupted_duration).to eq 4
    expect(create(finished_at: start + 4, error: "E: m", error_event: :unhandled).interrupted_duration).to be_nil
    expect(create(error_event: :interrupted).interrupted_duration).to be_nil
  end

  it "shows a backtrace as the application's cleaner leaves it, and its payload with its row" do
    cleaner = ActiveSupport::BacktraceCleaner.new
    cleaner.remove_silencers!
    cleaner.add_silencer { |line| line.include?("/gems/") }
    allow(Rails).to receive(:backtrace_cleaner).and_return(cleaner)
    execution = create(queue_name: "mice", error_backtrace: ["/gems/cheese.rb:1", "app/mouse.rb:2"], serialized_params: { "job_class" => "MouseJob" })
    expect(execution.filtered_error_backtrace).to eq ["app/mouse.rb:2"]
    expect(create.filtered_error_backtrace).to eq []
    expect(JSON.parse(execution.display_serialized_params))
      .to match("job_class" => "MouseJob", "_good_job_execution" => include("id" => execution.id, "queue_name" => "mice"))
  end

  it "has the name that it had before" do
    expect(GoodJob::DiscreteExecution).to be GoodJob::Execution
  end
end
