# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "Cleaning up", :database, :integration do
  # @return [GoodJob::Job] that ended so many seconds ago, with an execution
  def ended(seconds_ago, error: nil, **columns)
    job = RecordJob.perform_later
    at = Time.current - seconds_ago
    GoodJob::Job.where(id: job.job_id).update_all(finished_at: at, performed_at: at, error: error, **columns)
    GoodJob::Execution.create!(active_job_id: job.job_id, finished_at: at, created_at: at, error: error)
    row(job)
  end

  def left
    GoodJob::Job.order(:finished_at).ids
  end

  describe "GoodJob.cleanup_preserved_jobs" do
    it "deletes what ended before a time: jobs, executions and batches" do
      old = ended(3_700)
      recent = ended(3_500)
      waiting = row(RecordJob.perform_later)
      old_batch, recent_batch = Array.new(2) { GoodJob::BatchRecord.create! }
      old_batch.update!(finished_at: 2.hours.ago)
      recent_batch.update!(finished_at: Time.current)

      expect(GoodJob.cleanup_preserved_jobs(older_than: 1.hour)).to eq 3
      expect(GoodJob::Job.ids).to contain_exactly(recent.id, waiting.id)
      expect(GoodJob::Execution.pluck(:active_job_id)).to eq [recent.id]
      expect(GoodJob::BatchRecord.ids).to eq [recent_batch.id]
      expect(GoodJob::Job.exists?(old.id)).to be false
    end

    it "deletes by default what ended two weeks ago" do
      ended(13.days)
      ended(15.days)
      expect { GoodJob.cleanup_preserved_jobs }.to change(GoodJob::Job, :count).by(-1)
    end

    it "leaves what was discarded, if told to" do
      discarded = ended(100, error: "E: no")
      ended(99)
      batch = GoodJob::BatchRecord.create!(finished_at: 1.day.ago, discarded_at: 1.day.ago)
      expect(GoodJob.cleanup_preserved_jobs(older_than: 10, include_discarded: false)).to eq 2
      expect(left).to eq [discarded.id]
      expect(GoodJob::BatchRecord.ids).to eq [batch.id]
    end

    it "works in steps, and gets past what stays" do
      6.times { |number| ended(100 - number, error: ("E: no" if number.even?)) }
      deleted = statements { expect(GoodJob.cleanup_preserved_jobs(older_than: 10, in_batches_of: 2, include_discarded: false)).to eq 6 }
      expect(deleted.size).to be >= 4
      expect(GoodJob::Job.discarded.count).to eq 3
    end

    it "begins with what ended first" do
      second, first, third = [200, 300, 100].map { |seconds_ago| ended(seconds_ago) }
      steps = []
      look = ->(*, payload) { steps << left if payload[:name] == "GoodJob clean_jobs" }
      ActiveSupport::Notifications.subscribed(look, "sql.active_record") { GoodJob.cleanup_preserved_jobs(older_than: 10, in_batches_of: 1) }
      expect(steps.first(3)).to eq [[second.id, third.id], [third.id], []]
      expect(GoodJob::Job.exists?(first.id)).to be false
    end

    it "deletes nothing any more in a job whose process shuts down" do
      old = ended(100)
      stub_const("CleaningJob", Class.new(ActiveJob::Base) do
        def perform(latch)
          SpecRun.record(self, "started")
          Latch.new(latch).wait
          SpecRun.record(self, "deleted #{GoodJob.cleanup_preserved_jobs(older_than: 10)}")
        end
      end)
      job = CleaningJob.perform_later(latch.path)
      capsule = start_capsule
      wait_for_event(job, "started")
      capsule.shutdown(timeout: nil)
      latch.open
      wait_for_event(job, "started", "deleted 0")
      expect(GoodJob::Job.exists?(old.id)).to be true
      expect(GoodJob.cleanup_preserved_jobs(older_than: 10)).to eq 2
    end

    it "deletes what ended at one time, and gets past what ended so and stays" do
      6.times { |number| ended(100, error: ("E: no" if number < 4)) }
      GoodJob::Job.update_all(finished_at: 1.hour.ago)
      GoodJob.cleanup_preserved_jobs(older_than: 10, in_batches_of: 2, include_discarded: false)
      expect(GoodJob::Job.discarded.count).to eq 4
      later = ended(50)
      GoodJob.cleanup_preserved_jobs(older_than: 10, in_batches_of: 2, include_discarded: false)
      expect(GoodJob::Job.exists?(later.id)).to be false
      expect { GoodJob.cleanup_preserved_jobs(older_than: 10, in_batches_of: 2) }.to change(GoodJob::Job, :count).to(0)
    end

    it "goes by the caller's clock" do
      ended(0)
      travel 15.days
      expect(GoodJob.cleanup_preserved_jobs).to eq 2
    end

    it "tells what it has done" do
      ended(100)
      told = nil
      ActiveSupport::Notifications.subscribed(->(*, payload) { told = payload }, "cleanup_preserved_jobs.good_job") do
        GoodJob.cleanup_preserved_jobs(older_than: 10)
      end
      expect(told).to include(
        older_than: 10.0, timestamp: a_value_within(5).of(10.seconds.ago), destroyed_jobs_count: 1, destroyed_executions_count: 1,
        destroyed_batches_count: 0, destroyed_records_count: 2
      )
    end

    it "refuses steps of nothing" do
      expect { GoodJob.cleanup_preserved_jobs(in_batches_of: 0) }.to raise_error(ArgumentError, /in_batches_of is 0, but must be 1 or more/)
    end

    it "leaves a job that somebody has locked to the next time" do
      locked = ended(100)
      ended(99)
      GoodJob::Job.transaction do
        GoodJob::Job.lock.find(locked.id)
        Thread.new { GoodJob.within_executor { GoodJob.cleanup_preserved_jobs(older_than: 10) } }.join
      end
      expect(left).to eq [locked.id]
    end
  end

  describe "by itself" do
    it "deletes old jobs after so many runs, off the threads that run jobs" do
      Array.new(250) { RecordJob.new }.then { |jobs| ActiveJob::Base.queue_adapter.enqueue_all(jobs) }
      GoodJob::Job.update_all(finished_at: 1.hour.ago)
      told = Thread::Queue.new
      ActiveSupport::Notifications.subscribed(->(*, payload) { told << payload }, "cleanup_preserved_jobs.good_job") do
        start_capsule(cleanup_preserved_jobs_before_seconds_ago: 600, cleanup_interval_jobs: 2, cleanup_interval_seconds: false)
        wait_until_finished(*Array.new(3) { RecordJob.perform_later })
        wait_until("the old jobs to be deleted") { GoodJob::Job.count == 3 }
        wait_until("that to be told") { told.size.positive? }
      end
      expect(told.pop).to include(destroyed_jobs_count: 250, destroyed_records_count: 250)
    end

    it "deletes old jobs after so long" do
      ended(1.hour)
      start_capsule(cleanup_preserved_jobs_before_seconds_ago: 600, cleanup_interval_jobs: false, cleanup_interval_seconds: 1)
      wait_until("the old job to be deleted") { GoodJob::Job.none? }
    end

    it "deletes nothing if both intervals are off" do
      options = GoodJob::Capsule::Launch.options(new_capsule(cleanup_interval_jobs: false, cleanup_interval_seconds: 0).configuration)
      expect(options[:cleanup]).to be_nil
    end
  end

  it "is a command" do
    ended(100)
    stayed = ended(1)
    command = launch_command("cleanup_preserved_jobs", "--before-seconds-ago=50")
    expect(command.wait).to be_success
    expect(command.output).to include "deleted 2 rows"
    expect(left).to eq [stayed.id]
  end

  def launch_command(*arguments)
    send(:launch, "bin/good_job", *arguments)
  end
end
