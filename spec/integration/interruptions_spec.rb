# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "A job whose attempts are cut short", :database, :integration do
  # Examples have classes of the same name.
  before { GoodJob::ActiveJobExtensions::InterruptErrors.forget }

  def attempts(job)
    executions(job).map { |execution| [execution.error.to_s[/\A\S+(?=: )/], execution.error_event&.to_sym] }
  end

  # A job class that wants to know, and that is cut short at its first attempt.
  def careful(&treatment)
    Class.new(ActiveJob::Base) do
      include GoodJob::ActiveJobExtensions::InterruptErrors

      def perform
        SpecRun.record(self, "performed")
        raise Exception, "out of memory, say" if SpecRun.where(job_id: job_id).count == 1 # rubocop:disable Lint/RaiseException
      end

      class_eval(&treatment) if treatment
    end
  end

  describe "with InterruptErrors" do
    it "fails with InterruptError at the next one, without being performed, where nothing handles that" do
      stub_const("MouseJob", careful)
      job = MouseJob.perform_later
      run_jobs
      expect(events(job)).to eq ["performed"]
      expect(attempts(job)).to eq [["GoodJob::InterruptedError", :interrupted], ["GoodJob::InterruptError", :interrupted]]
      expect(row(job)).to have_attributes(error_event: "interrupted", finished_at: be_present, executions_count: 2)
      started_at = executions(job).first.created_at.utc.to_s.first(19)
      expect(row(job).error).to match(/\AGoodJob::InterruptError: Interrupted after starting perform at '#{started_at} UTC'\z/)
    end

    it "is retried by retry_on, and the attempt after that is a fresh one" do
      stub_const("MouseJob", careful { retry_on GoodJob::InterruptError, wait: 0, attempts: 2 })
      job = MouseJob.perform_later
      run_jobs
      expect(events(job)).to eq %w[performed performed]
      expect(attempts(job)).to eq [["GoodJob::InterruptedError", :interrupted], ["GoodJob::InterruptError", :retried], [nil, nil]]
      expect(row(job)).to have_attributes(error: nil, executions_count: 3)
    end

    it "is discarded by discard_on" do
      stub_const("MouseJob", careful { discard_on GoodJob::InterruptError })
      job = MouseJob.perform_later
      run_jobs
      expect(events(job)).to eq ["performed"]
      expect(row(job)).to have_attributes(error: /\AGoodJob::InterruptError: /, error_event: "discarded", finished_at: be_present)
    end

    it "knows so after its process was killed, too" do
      victim = running_worker("--max-threads=1")
      job = CarefulJob.perform_later(latch.path)
      wait_for_event(job, "started")
      victim.kill
      running_worker("--max-threads=1")
      wait_for_event(job, "started", "started")
      latch.open
      wait_until_finished(job)
      expect(attempts(job)).to eq [["GoodJob::InterruptedError", :interrupted], ["GoodJob::InterruptError", :retried], [nil, nil]]
    end

    it "knows so in the inline mode, too" do
      stub_const("MouseJob", careful { retry_on GoodJob::InterruptError, wait: 0, attempts: 2 })
      use_adapter(:inline)
      MouseJob.queue_adapter = ActiveJob::Base.queue_adapter
      expect { MouseJob.perform_later }.to raise_error(Exception, "out of memory, say")
      job_row = GoodJob::Job.first
      expect(job_row).to have_attributes(performed_at: be_present, finished_at: nil, locked_by_id: nil)
      expect(job_row.error).to match(/\AGoodJob::InterruptedError: Interrupted after starting perform at '[\d -]+:\d\d:[\d.]+'\z/)
      expect(GoodJob.perform_inline).to eq 2
      expect(SpecRun.count).to eq 2
      expect(job_row.reload).to have_attributes(error: nil, finished_at: be_present, executions_count: 3)
      expect(GoodJob::Execution.order(:created_at).map(&:error_event)).to eq ["interrupted", "retried", nil]
    end

    it "is performed by hand as ever, inside of another job that was cut short" do
      stub_const("MouseJob", careful { define_method(:perform) { SpecRun.record(self, "performed") } })
      stub_const("CatJob", Class.new(ActiveJob::Base) do
        def perform
          MouseJob.perform_now
          SpecRun.record(self, "done")
        end
      end)
      job = CatJob.perform_later
      GoodJob::Job.where(id: job.job_id).update_all(performed_at: 1.minute.ago)
      run_jobs
      expect(events).to eq %w[performed done]
      expect(row(job)).to be_succeeded
    end

    it "is on record as started before it starts, though it was claimed in advance" do
      looking = proc { define_method(:perform) { SpecRun.record(self, GoodJob::Job.find(job_id).performed_at ? "on record" : "not on record") } }
      stub_const("CarefulMouseJob", careful(&looking))
      stub_const("MouseJob", Class.new(ActiveJob::Base, &looking))
      start_capsule(max_threads: 1)
      quick = Array.new(300) { QuickJob.new }
      ActiveJob::Base.queue_adapter.enqueue_all(quick)
      wait_until_finished(*quick)
      jobs = [CarefulMouseJob, MouseJob].to_h { |job_class| [job_class, Array.new(40) { job_class.new }] }
      ActiveJob::Base.queue_adapter.enqueue_all(jobs.values.transpose.flatten)
      wait_until_finished(*jobs.values.flatten)
      said = jobs.transform_values { |list| SpecRun.where(job_id: list.map(&:job_id)).distinct.pluck(:event) }
      expect(said).to match(CarefulMouseJob => ["on record"], MouseJob => include("not on record"))
    end
  end

  describe "again and again" do
    it "is discarded after max_interruptions in a living process, and says why" do
      told = Thread::Queue.new
      GoodJob.on_thread_error = ->(error) { told << error if error.is_a?(GoodJob::InterruptionLimitError) }
      job = PoisonJob.perform_later("raise Exception")
      run_jobs(max_interruptions: 2)
      expect(events(job)).to eq %w[died died]
      expect(row(job)).to be_discarded.and have_attributes(
        error: /\AGoodJob::InterruptionLimitError: Interrupted after starting perform at '.+' \(2 in a row, and max_interruptions is 2\)\z/,
        error_event: "discarded", executions_count: 2, locked_by_id: nil
      )
      expect(attempts(job)).to eq [["GoodJob::InterruptedError", :interrupted], ["GoodJob::InterruptionLimitError", :discarded]]
      expect(told.pop.message).to include job.job_id
    end

    describe "in the inline mode" do
      let(:told) { [] }

      before do
        errors = told
        GoodJob.on_thread_error = ->(error) { errors << error }
        use_adapter(:inline)
      end

      def limit_interruptions(limit)
        allow(GoodJob).to receive(:configuration).and_return(GoodJob::Configuration.new({ max_interruptions: limit }))
      end

      # It reaches whoever runs the job.
      def expect_death(&run)
        expect(&run).to raise_error(Exception, "not one that a job may handle")
      end

      it "is discarded after max_interruptions, whoever cut the attempts before short, and says why" do
        limit_interruptions(3)
        expect_death { PoisonJob.perform_later("raise Exception") }
        job = GoodJob::Job.first
        expect(job).to have_attributes(error: /\AGoodJob::InterruptedError: /, error_event: "interrupted", finished_at: nil)
        elsewhere = { error: "GoodJob::InterruptedError: Interrupted after starting perform at '…'", created_at: Time.current }
        GoodJob::Execution.create!(active_job_id: job.id, **elsewhere)
        expect_death { GoodJob.perform_inline }
        expect(job.reload).to be_discarded.and have_attributes(
          error: /\AGoodJob::InterruptionLimitError: Interrupted after starting perform at '.+' \(3 in a row, and max_interruptions is 3\)\z/,
          error_event: "discarded", executions_count: 2, locked_by_id: nil
        )
        expect(job.executions.order(:created_at).map(&:error_event)).to eq ["interrupted", nil, "discarded"]
        expect(told.map(&:class)).to eq [GoodJob::InterruptionLimitError]
        expect(told.first.message).to include job.id
        expect(GoodJob.perform_inline).to eq 0
      end

      it "is not discarded where an attempt between has ended by itself" do
        limit_interruptions(2)
        expect_death { PoisonJob.perform_later("raise Exception") }
        job = GoodJob::Job.first
        GoodJob::Execution.create!(active_job_id: job.id, error: "IOError: wet", created_at: Time.current)
        expect_death { GoodJob.perform_inline }
        expect(job.reload).to have_attributes(finished_at: nil, error_event: "interrupted")
        expect(told).to eq []
      end

      it "runs again for ever without a limit" do
        limit_interruptions(nil)
        expect_death { PoisonJob.perform_later("raise Exception") }
        3.times { expect_death { GoodJob.perform_inline } }
        expect(GoodJob::Job.first).to have_attributes(finished_at: nil, executions_count: 4)
        expect(GoodJob::Execution.pluck(:error_event).uniq).to eq ["interrupted"]
      end

      it "is told to its batch when it is discarded" do
        GlobalID.app ||= "spec"
        stub_const("TellJob", Class.new(ActiveJob::Base) { def perform(_batch, context) = SpecRun.record(self, context[:event].to_s) })
        limit_interruptions(1)
        expect_death { GoodJob::Batch.enqueue([PoisonJob.new("raise Exception")], on_discard: "TellJob", on_finish: "TellJob") }
        expect(events).to eq %w[died discard finish]
      end
    end

    it "is told to its batch when it is discarded" do
      GlobalID.app ||= "spec"
      stub_const("TellJob", Class.new(ActiveJob::Base) { def perform(_batch, context) = SpecRun.record(self, context[:event].to_s) })
      rest = LatchedJob.new(latch.path)
      GoodJob::Batch.enqueue([PoisonJob.new("raise Exception"), rest], on_discard: "TellJob", on_finish: "TellJob")
      start_capsule(max_interruptions: 1)
      wait_until("the batch to be told while a job of it runs", limit_seconds: 8) { events.include?("discard") }
      latch.open
      wait_until_finished(rest)
      wait_until("the batch to have finished") { events.include?("finish") }
      expect(events.count("discard")).to eq 1
    end

    it "because it kills its process, is discarded by another one, though it was claimed in advance each time" do
      limit = { "GOOD_JOB_MAX_INTERRUPTIONS" => "1" }
      running_worker("--queues=none", env: limit) # puts jobs back, and runs none
      job = PoisonJob.new("SIGKILL")
      ActiveJob::Base.queue_adapter.enqueue_all([job])
      until row(job).finished?
        # Go first, and are short: what follows them is claimed in advance.
        ActiveJob::Base.queue_adapter.enqueue_all(Array.new(300) { QuickJob.new.tap { |quick| quick.priority = -1 } })
        victim = good_job("--max-threads=1", env: limit)
        victim.wait
        expect(events(job).size).to be <= 2
        wait_until("the job to be put back or discarded") { row(job).locked_by_id.nil? }
      end

      expect(row(job)).to be_discarded.and have_attributes(error: /\AGoodJob::InterruptionLimitError: .*\(1 in a row, and max_interruptions is 1\)\z/)
      expect(attempts(job)).to eq [["GoodJob::InterruptionLimitError", :discarded]]
      running_worker
      wait_until("the others to have run") { unfinished_jobs.none? }
      expect(GoodJob::Execution.where.not(active_job_id: job.job_id).where.not(error: nil)).to be_empty
    end
  end
end
