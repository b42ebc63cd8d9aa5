# frozen_string_literal: true

require_relative "../support/integration"

# The specs do without GoodJob, which would have to be installed for them. What its workers do to the tables is done by OtherWorker.
RSpec.describe "Workers of GoodJob on the same tables", :database, :integration do
  def other_worker(strategy)
    worker = ruby("require '#{Project.path("spec/support/other_worker")}'; OtherWorker.new('#{strategy}').work")
    worker.wait_for_output(/ready/)
    worker
  end

  def enqueue(count)
    ActiveJob::Base.queue_adapter.enqueue_all(Array.new(count) { RecordJob.new })
  end

  def unfinished
    GoodJob::Job.where(finished_at: nil)
  end

  def expect_once_each(count, *pids)
    expect(SpecRun.distinct.pluck(:pid)).to match_array(pids)
    expect([SpecRun.count, SpecRun.distinct.count(:job_id)]).to eq [count, count]
    expect([GoodJob::Execution.count, GoodJob::Execution.distinct.count(:active_job_id)]).to eq [count, count]
    expect(GoodJob::Job.group(:executions_count, :error, :locked_by_id).count).to eq([1, nil, nil] => count)
  end

  [%i[hybrid advisory], %i[hybrid skiplocked], %i[hybrid hybrid], %i[advisory advisory], %i[skiplocked skiplocked], %i[skiplocked hybrid]].each do |ours, theirs|
    it "share the jobs with workers here, and each runs once: #{ours} here, #{theirs} there" do
      other = other_worker(theirs)
      capsule = start_capsule(lock_strategy: ours, max_threads: 2, prefetch: false)
      wait_until("it to listen") { capsule.snapshot[:listening] }
      enqueue(400)
      wait_until("all jobs to be done", limit_seconds: 60) { unfinished.none? }
      capsule.shutdown
      expect_once_each(400, Process.pid, other.pid)
    end
  end

  %i[advisory skiplocked hybrid].each do |theirs|
    it "share the jobs with perform_inline, and each runs once: #{theirs} there" do
      other = other_worker(theirs)
      enqueue(200)
      wait_until("all jobs to be done", limit_seconds: 60) { GoodJob.perform_inline && unfinished.none? }
      expect_once_each(200, Process.pid, other.pid)
    end
  end
end
