# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "Many jobs on several processes", :database, :integration do
  def enqueue(count)
    jobs = Array.new(count) { RecordJob.new }
    expect(ActiveJob::Base.queue_adapter.enqueue_all(jobs)).to eq count
    jobs
  end

  def wait_until_done(limit_seconds: 120)
    wait_until("all jobs to be done", limit_seconds: limit_seconds) { unfinished_jobs.none? }
  end

  it "run once each: 10,000 jobs on two workers" do
    enqueue(8_000)
    workers = Array.new(2) { good_job("--max-threads=5", "--poll-interval=-1", env: { "LOG_LEVEL" => "warn" }) }
    wait_until_registered(*workers)
    enqueue(2_000)
    wait_until_done
    expect(workers.map { |worker| worker.stop.exitstatus }).to eq [0, 0]

    expect([SpecRun.count, SpecRun.distinct.count(:job_id)]).to eq [10_000, 10_000]
    expect([GoodJob::Execution.count, GoodJob::Execution.distinct.count(:active_job_id)]).to eq [10_000, 10_000]
    expect(SpecRun.distinct.pluck(:pid)).to match_array(workers.map(&:pid))
    expect(GoodJob::Job.group(:executions_count, :error, :locked_by_id).count).to eq([1, nil, nil] => 10_000)
  end

  it "run once each while processes come and go" do
    jobs = enqueue(1_500)
    first = running_worker("--max-threads=3", env: { "LOG_LEVEL" => "warn" })
    wait_until("the first jobs") { SpecRun.any? }
    expect(first.stop.exitstatus).to eq 0
    second = running_worker("--max-threads=3", env: { "LOG_LEVEL" => "warn" })
    wait_until_done
    expect(second.stop.exitstatus).to eq 0

    expect(SpecRun.group(:job_id).count.values.tally).to eq(1 => jobs.size)
    expect(GoodJob::Job.where.not(executions_count: 1)).to be_empty
  end
end
