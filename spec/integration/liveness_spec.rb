# frozen_string_literal: true

require_relative "../support/integration"
require_relative "../support/proxy"

RSpec.describe "A process that is gone, or seems to be", :database, :integration do
  # What a job's row and its executions say, all of it.
  def record_of(job)
    [row(job).attributes, executions(job).map(&:attributes)]
  end

  # What goes to GoodJob.on_thread_error is printed.
  def reporting
    <<~'RUBY'
      config.good_job.on_thread_error = ->(error) { puts "told of #{error.class}: #{error.message}" }
    RUBY
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  # The process that went on without its leases finds out.
  def expect_lost(worker, job)
    lost = /told of GoodJob::LostLeaseError: Job #{job.job_id} ended here \(finish\) after its lease had gone/
    worker.wait_for_output(lost)
    worker.wait_for_output(/GoodJob errored: GoodJob::LostLeaseError: Job #{job.job_id} /)
  end

  it "killed with claims that no thread had started, leaves no trace on those: others run them once, within seconds" do
    victim = running_worker("--max-threads=1")
    quick = Array.new(300) { QuickJob.new }
    ActiveJob::Base.queue_adapter.enqueue_all(quick)
    wait_until_finished(*quick) # from now on it takes jobs for short ones, and claims several at once
    jobs = Array.new(100) { RecordJob.new }
    ActiveJob::Base.queue_adapter.enqueue_all([LatchedJob.new(latch.path).tap { |job| job.priority = -1 }] + jobs)
    wait_until("claims that wait for the thread") { GoodJob::Job.where(performed_at: nil).where.not(locked_by_id: nil).any? }
    victim.kill
    killed_at = now
    latch.open
    running_worker("--max-threads=2")
    wait_until_finished(*jobs)

    expect(now - killed_at).to be < 10 + 2 # the new worker's start
    expect(SpecRun.where(job_id: jobs.map(&:job_id)).group(:job_id).count.values.tally).to eq(1 => 100)
    expect(GoodJob::Execution.where(active_job_id: jobs.map(&:job_id)).group(:error).count).to eq(nil => 100)
    expect(jobs.map { |job| row(job).executions_count }.uniq).to eq [1]
  end

  it "stopped until its jobs have run elsewhere, cannot change anything when it wakes up, says so, and goes on" do
    sleeper = running_worker("--max-threads=1", configuration: reporting)
    job = LatchedJob.perform_later(latch.path)
    wait_for_event(job, "started")
    sleeper.signal(:STOP)
    stopped_at = now
    other = running_worker("--max-threads=1")
    wait_for_event(job, "started", "started", limit_seconds: 40)
    expect(now - stopped_at).to be < 30
    latch.open
    wait_until_finished(job)
    record = record_of(job)
    expect(record).to match [include("error" => nil, "executions_count" => 2, "locked_by_id" => nil),
                             [include("error" => /\AGoodJob::InterruptedError: /), include("error" => nil)]]

    sleeper.signal(:CONT)
    expect_lost(sleeper, job)
    expect(record_of(job)).to eq record
    expect(events(job)).to eq %w[started started finished finished]

    expect(other.stop.exitstatus).to eq 0
    wait_until_registered(sleeper)
    later = RecordJob.perform_later
    wait_for_event(later, "ran")
    expect(sleeper.stop.exitstatus).to eq 0
  end

  it "stopped for as long, and told to end when it wakes up, cannot give back what is not its own any more" do
    sleeper = running_worker("--max-threads=1", "--shutdown-timeout=0", configuration: reporting)
    job = LatchedJob.perform_later(latch.path)
    wait_for_event(job, "started")
    sleeper.signal(:STOP)
    GoodJob::Job.where(id: job.job_id).update_all(locked_by_id: SecureRandom.uuid, locked_at: Time.current, performed_at: Time.current)
    record = record_of(job)
    sleeper.signal(:TERM)
    sleeper.signal(:CONT)
    expect(sleeper.wait.exitstatus).to eq 0
    expect(sleeper.output).to match(/told of GoodJob::LostLeaseError: Job #{job.job_id} ended here \(interrupt\)/)
    expect(record_of(job)).to eq record
  end

  it "cut off by a network that has gone silent, has its jobs run elsewhere, and cannot change anything when it is back" do
    proxy = Proxy.new(URI(SpecDatabase.url).port)
    island = running_worker("--max-threads=1", env: { "DATABASE_URL" => proxy.url(SpecDatabase.url) }, configuration: reporting)
    job = OfflineJob.perform_later(latch.path)
    wait_until("the job to start") { latch.notes == ["started"] }
    proxy.silence(:client, :server)
    silent_at = now
    running_worker("--max-threads=1")
    wait_until("the job to start elsewhere", limit_seconds: 40) { latch.notes == %w[started started] }
    expect(now - silent_at).to be < 30
    latch.open
    wait_until_finished(job)
    record = record_of(job)
    expect(executions(job).map(&:error_event)).to eq ["interrupted", nil]

    proxy.resume
    expect_lost(island, job)
    expect(record_of(job)).to eq record
    expect(island.stop.exitstatus).to eq 0
  ensure
    proxy&.remove
  end
end
