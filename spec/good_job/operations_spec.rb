# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe GoodJob::Operations, :database, :integration do
  before do
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      def perform(*)
        raise IOError, "wet" unless self.class.dry
      end

      class << self
        attr_accessor :dry
      end
    end)
  end

  def discarded_job
    job = MouseJob.set(queue: "mice", priority: 3).perform_later("cheese")
    run_jobs
    row(job)
  end

  def mismatch
    raise_error(GoodJob::Job::ActionForStateMismatchError)
  end

  def busy
    raise_error(GoodJob::AdvisoryLockable::RecordAlreadyAdvisoryLockedError)
  end

  describe "retry_job" do
    it "has a discarded job run once more, in the same row, with one more execution" do
      job = discarded_job
      retries = []
      ActiveSupport::Notifications.subscribed(->(*, payload) { retries << payload[:error] }, "enqueue_retry.active_job") { job.retry_job }
      expect(retries).to match [have_attributes(class: IOError, message: "wet")]
      expect(job.reload).to have_attributes(
        finished_at: nil, performed_at: nil, error: "IOError: wet", error_event: "retried", queue_name: "mice", priority: 3
      )
      expect(job.serialized_params).to include("executions" => 1, "arguments" => ["cheese"])

      MouseJob.dry = true
      run_jobs
      expect(job.reload).to have_attributes(error: nil, status: :succeeded, executions_count: 2)
      expect(GoodJob::Job.count).to eq 1
    end

    it "wakes a worker that waits" do
      job = discarded_job
      MouseJob.dry = true
      start_capsule
      wait_until("a worker to listen") { capsules.last.snapshot[:listening] }
      job.retry_job
      wait_until("the retry") { job.reload.succeeded? }
    end

    it "keeps the job's language and time zone, whatever the operator's are" do
      I18n.available_locales = I18n.available_locales | [:de]
      job = I18n.with_locale(:de) { Time.use_zone("Tokyo") { discarded_job } }
      job.retry_job
      expect(job.reload.serialized_params).to include("locale" => "de", "timezone" => "Tokyo")
    end

    it "makes do with an error that cannot be made again" do
      job = discarded_job
      ["Gone::Error: lost", "Kernel: no class", "no separator", "NameError: "].each do |error|
        job.update!(error: error, finished_at: Time.current)
        job.retry_job
        expect(job.reload).to have_attributes(error: error, finished_at: nil)
      end
    end

    it "refuses a job that has not ended, or has succeeded, is running, or cannot be made" do
      expect { row(MouseJob.perform_later).retry_job }.to mismatch
      job = discarded_job
      job.update!(locked_by_id: SecureRandom.uuid)
      expect { job.retry_job }.to busy
      job.update!(locked_by_id: nil, error: nil)
      expect { job.retry_job }.to mismatch
      job.update!(error: "E: m", serialized_params: { "job_class" => "GoneJob" })
      expect { job.retry_job }.to raise_error(GoodJob::Job::ActiveJobDeserializationError)
    end

    it "refuses a job whose class enqueues elsewhere now" do
      job = discarded_job
      MouseJob.queue_adapter = :async
      expect { job.retry_job }.to raise_error(GoodJob::Job::AdapterNotGoodJobError)
    end
  end

  describe "discard_job" do
    it "ends a job that waits, with the message as its error, and tells of it" do
      job = row(MouseJob.perform_later)
      told = []
      ActiveSupport::Notifications.subscribed(->(*, payload) { told << [payload[:job].job_id, payload[:error].message] }, "discard.active_job") do
        job.discard_job("not hungry")
      end
      expect(told).to eq [[job.id, "not hungry"]]
      expect(job.reload).to have_attributes(
        error: "GoodJob::Job::DiscardJobError: not hungry", error_event: "discarded", finished_at: be_present, status: :discarded
      )
      expect { job.discard_job("again") }.to mismatch
    end

    it "ends a job that cannot be made" do
      job = row(MouseJob.perform_later)
      job.update!(serialized_params: { "job_class" => "GoneJob" })
      job.discard_job("gone")
      expect(job.reload).to be_discarded
    end

    it "leaves a job that runs here, or elsewhere, or that somebody has locked" do
      job = LatchedJob.perform_later(latch.path)
      start_capsule
      wait_for_event(job, "started")
      expect { row(job).discard_job("too late") }.to busy

      waiting = row(MouseJob.set(wait: 60).perform_later)
      PG.connect(SpecDatabase.url) do |session|
        session.exec("BEGIN; SELECT FROM good_jobs WHERE id = '#{waiting.id}' FOR UPDATE")
        expect { waiting.discard_job("locked") }.to busy
        session.exec("ROLLBACK; SELECT pg_advisory_lock(('x' || substr(md5('good_jobs-#{waiting.id}'), 1, 16))::bit(64)::int8)")
        expect { waiting.discard_job("held") }.to busy
      end
    end
  end

  describe "force_discard_job" do
    it "ends a job that runs; what becomes of the run is not stored any more" do
      reported = []
      GoodJob.on_thread_error = ->(error) { reported << error.class }
      job = LatchedJob.perform_later(latch.path)
      start_capsule
      wait_for_event(job, "started")
      row(job).force_discard_job("enough")
      expect(row(job)).to have_attributes(error: "GoodJob::Job::DiscardJobError: enough", error_event: "discarded", locked_by_id: nil)
      latch.open
      wait_for_event(job, "started", "finished")
      wait_until("the worker to notice") { reported.include?(GoodJob::LostLeaseError) }
      expect(row(job)).to be_discarded
    end
  end

  describe "reschedule_job" do
    it "sets another time, now unless told otherwise, and tells workers" do
      job = row(RecordJob.set(wait: 3600).perform_later)
      job.reschedule_job(Time.utc(2035, 1, 1))
      expect(job.reload.scheduled_at).to eq Time.utc(2035, 1, 1)
      start_capsule
      wait_until("a worker to listen") { capsules.last.snapshot[:listening] }
      job.reschedule_job
      wait_until("the job to run") { job.reload.finished? }
      expect { job.reschedule_job }.to mismatch
    end
  end

  describe "destroy_job" do
    it "deletes a finished job and its executions, and no other" do
      job = discarded_job
      expect { row(MouseJob.perform_later).destroy_job }.to mismatch
      job.destroy_job
      expect([GoodJob::Job.where(id: job.id).count, GoodJob::Execution.count]).to eq [0, 0]
      expect { job.destroy_job }.to raise_error(ActiveRecord::RecordNotFound)
    end
  end
end
