# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "Performing", :database, :integration do
  before do
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      retry_on(IOError, wait: ->(_executions) { 0.05 }, attempts: 3)
      retry_on(EncodingError, wait: ->(_executions) { 0.05 }, attempts: 2) { |job, error| SpecRun.record(job, "gave up: #{error.message}") }
      discard_on(KeyError)
      rescue_from(ZeroDivisionError) { |error| SpecRun.record(self, "rescued: #{error.message}") }

      class << self
        attr_accessor :action
      end

      def perform(*arguments)
        SpecRun.record(self, "attempt #{executions}")
        instance_exec(*arguments, &self.class.action)
      end
    end)
  end

  # Runs a job that does what the block does, until it is finished.
  # @return [GoodJob::Job] its row, or nil if it is gone
  def perform(*arguments, &action)
    MouseJob.action = action
    job = MouseJob.perform_later(*arguments)
    run_jobs
    GoodJob::Job.find_by(id: job.job_id)
  end

  # @return [Array<Array>] text and treatment of the error of each attempt
  def attempts(job_row)
    GoodJob::Execution.where(active_job_id: job_row.id).order(:created_at).map { |execution| [execution.error, execution.error_event&.to_sym] }
  end

  describe "a job that succeeds" do
    it "leaves a finished row and one execution row" do
      job = perform("cheese") { |food| SpecRun.record(self, "ate #{food}") }
      expect(events).to eq ["attempt 1", "ate cheese"]
      expect(job).to have_attributes(error: nil, error_event: nil, executions_count: 1, locked_by_id: nil, locked_at: nil, lock_type: nil)
      expect(job.finished_at).to be >= job.performed_at

      execution, *others = GoodJob::Execution.where(active_job_id: job.id).to_a
      expect(others).to be_empty
      expect(execution).to have_attributes(
        job_class: "MouseJob", queue_name: "default", serialized_params: job.serialized_params, scheduled_at: job.scheduled_at,
        created_at: job.performed_at, error: nil, error_event: nil, error_backtrace: nil, process_id: capsules.last.process_id
      )
      expect(execution.duration).to be_between(0, execution.finished_at - execution.created_at + 1)
    end

    it "knows its own id, and how often it has run" do
      seen = nil
      job = perform { seen = [provider_job_id, executions] }
      expect(seen).to eq [job.id, 1]
    end
  end

  describe "a job that runs" do
    it "has no execution row until it has ended" do
      start_capsule
      job = LatchedJob.perform_later(latch.path)
      wait_for_event(job, "started")
      expect(row(job).performed_at).to be_present
      expect(executions(job)).to be_empty
      latch.open
      wait_until_finished(job)
      expect(executions(job).size).to eq 1
    end
  end

  describe "a job that fails" do
    it "is finished with its error when nothing handles that" do
      job = perform { raise ArgumentError, "no cheese" }
      expect(job).to have_attributes(error: "ArgumentError: no cheese", error_event: "unhandled", locked_by_id: nil)
      expect(job).to be_discarded
      expect(attempts(job)).to eq [["ArgumentError: no cheese", :unhandled]]
      expect(GoodJob::Execution.first.error_backtrace.first).to include File.basename(__FILE__)
    end

    it "is finished as handled by rescue_from" do
      job = perform { 1 / 0 }
      expect(job).to have_attributes(error: "ZeroDivisionError: divided by 0", error_event: "handled", finished_at: be_present)
      expect(events).to eq ["attempt 1", "rescued: divided by 0"]
    end

    it "is finished as discarded by discard_on" do
      job = perform { raise KeyError, "lost" }
      expect(job).to have_attributes(error: "KeyError: lost", error_event: "discarded", finished_at: be_present)
    end

    it "has on record, by number, what was done about the error" do
      MouseJob.action = proc { |error| raise error.constantize }
      jobs = %w[ZeroDivisionError EncodingError KeyError].map { |error| MouseJob.perform_later(error) }
      run_jobs
      numbers = jobs.map do |job|
        Postgres.execute(SpecDatabase.url, <<~SQL, [job.job_id]).map { |row| row.values.map(&:to_i) }
          SELECT job.error_event AS on_job, execution.error_event AS on_execution
          FROM good_jobs AS job JOIN good_job_executions AS execution USING (active_job_id)
          WHERE job.id = $1 ORDER BY execution.created_at
        SQL
      end
      expect(numbers).to eq [[[2, 2]], [[4, 3], [4, 4]], [[5, 5]]]
    end

    it "runs again at once, for ever, with retry_on_unhandled_error, as it was" do
      GoodJob.retry_on_unhandled_error = true
      job = perform { raise "not yet" if SpecRun.count < 4 }
      expect(attempts(job)).to eq [*[["RuntimeError: not yet", :unhandled]] * 3, [nil, nil]]
      expect(job).to have_attributes(error: nil, executions_count: 4, scheduled_at: job.created_at)
      expect(events).to eq ["attempt 1"] * 4
    end
  end

  describe "a job that is retried by retry_on" do
    it "keeps its row, which tells of the last error until the next attempt" do
      MouseJob.action = proc { raise IOError, "wet" if executions < 3 }
      MouseJob.retry_on(IOError, wait: 3600, attempts: 3)
      job = MouseJob.set(queue: "mice", priority: 4).perform_later
      before = row(job)
      start_capsule
      wait_until("the first attempt to be stored") { row(job).error }

      after = row(job)
      expect(after).to have_attributes(
        id: job.job_id, error: "IOError: wet", error_event: "retried", performed_at: nil, finished_at: nil, locked_by_id: nil,
        executions_count: 1, queue_name: "mice", priority: 4, created_at: before.created_at
      )
      expect(after.scheduled_at).to be_within(700).of(1.hour.from_now)
      expect(after.serialized_params).to include("executions" => 1, "exception_executions" => { "[IOError]" => 1 }, "job_id" => job.job_id)
      expect(GoodJob::Execution.where(active_job_id: job.job_id).pluck(:serialized_params)).to match [include("executions" => 0)]
    end

    it "keeps its batch and its cron entry" do
      MouseJob.retry_on(IOError, wait: 3600, attempts: 3)
      MouseJob.action = proc { raise IOError }
      job = MouseJob.new
      batch = GoodJob::Batch.enqueue([job])
      from_cron = { cron_key: "tick", cron_at: Time.utc(2030) }
      GoodJob::Job.update_all(from_cron)
      start_capsule
      wait_until("the first attempt to be stored") { row(job).error }
      expect(row(job)).to have_attributes(error_event: "retried", finished_at: nil, batch_id: batch.id, **from_cron)
    end

    it "succeeds in the end, with an execution row for every attempt" do
      job = perform { raise IOError, "wet" if executions < 3 }
      expect(attempts(job)).to eq [["IOError: wet", :retried], ["IOError: wet", :retried], [nil, nil]]
      expect(job).to have_attributes(error: nil, error_event: nil, executions_count: 3)
      expect(events).to eq ["attempt 1", "attempt 2", "attempt 3"]
      expect(GoodJob::Job.count).to eq 1
    end

    it "is stopped after the last attempt" do
      job = perform { raise IOError, "wet" }
      expect(attempts(job).map(&:last)).to eq %i[retried retried retry_stopped]
      expect(job).to have_attributes(error: "IOError: wet", error_event: "retry_stopped", finished_at: be_present)
    end

    it "is stopped after the last attempt, by a block that has the last word" do
      job = perform { raise EncodingError, "?" }
      expect(attempts(job).map(&:last)).to eq %i[retried retry_stopped]
      expect(job).to have_attributes(error: "EncodingError: ?", error_event: "retry_stopped")
      expect(events).to eq ["attempt 1", "attempt 2", "gave up: ?"]
    end

    it "may change its queue and priority" do
      MouseJob.retry_on(FloatDomainError, wait: ->(_executions) { 0.05 }, queue: "infirmary", priority: 9)
      job = perform { raise FloatDomainError, "Infinity" if executions == 1 }
      expect(job).to have_attributes(queue_name: "infirmary", priority: 9, error: nil)
      expect(GoodJob::Execution.order(:created_at).pluck(:queue_name)).to eq %w[default infirmary]
    end
  end

  describe "a job that enqueues itself" do
    it "keeps its row, without an error" do
      job = perform { retry_job(wait: 0, priority: 5) if executions == 1 }
      expect(job).to have_attributes(error: nil, error_event: nil, priority: 5, executions_count: 2)
      expect(attempts(job)).to eq [[nil, nil], [nil, nil]]
      expect(GoodJob::Job.count).to eq 1
    end

    it "runs once more though it fails afterwards" do
      job = perform do
        if executions == 1
          enqueue
          raise "after all"
        end
      end
      expect(attempts(job)).to eq [["RuntimeError: after all", :unhandled], [nil, nil]]
      expect(job).to be_succeeded
    end

    it "is another job when it has another id" do
      job = perform { MouseJob.perform_later if SpecRun.count == 1 }
      expect(GoodJob::Job.succeeded.count).to eq 2
      expect(job.executions_count).to eq 1
    end
  end

  describe "the rows of jobs that have ended" do
    def kept(setting, &action)
      GoodJob.preserve_job_records = setting
      job = perform(&action)
      expect(GoodJob::Execution.count).to eq(job ? 1 : 0)
      GoodJob::Execution.delete_all
      !job.nil?
    end

    it "are kept or deleted, executions with them, as preserve_job_records says" do
      success = proc {}
      failure = proc { raise "no" }
      discard = proc { raise KeyError }
      kept = [true, false, :on_unhandled_error].map { |setting| [success, failure, discard].map { |action| kept(setting, &action) } }
      expect(kept).to eq [[true, true, true], [false, false, false], [false, true, false]]
    end

    it "are kept where a callable says so, which sees job, error and treatment" do
      seen = []
      callable = lambda do |job, error, event|
        seen << [job.class, error&.message, event]
        error
      end
      expect([kept(callable) { nil }, kept(callable) { raise "no" }, kept(callable) { 1 / 0 }]).to eq [false, true, true]
      expect(seen).to eq [[MouseJob, nil, nil], [MouseJob, "no", :unhandled], [MouseJob, "divided by 0", :handled]]
    end

    it "stay while a job is retried, whatever preserve_job_records says" do
      GoodJob.preserve_job_records = false
      MouseJob.retry_on(IOError, wait: 3600, attempts: 3)
      MouseJob.action = proc { raise IOError }
      job = MouseJob.perform_later
      start_capsule
      wait_until("the retry") { row(job).error }
      expect(GoodJob::Execution.count).to eq 1
    end
  end

  describe "a payload that makes no sense" do
    # Beside a job that makes sense, which runs after it on the same thread.
    def error_of(serialized_params, queue_name: "default", job_class: "RecordJob")
      binds = [SecureRandom.uuid, queue_name, serialized_params, job_class]
      Postgres.execute(SpecDatabase.url, <<~SQL, binds)
        INSERT INTO good_jobs (id, active_job_id, queue_name, priority, serialized_params, job_class, scheduled_at, created_at, updated_at)
        VALUES ($1, $1, $2, 0, $3, $4, now() - interval '1 hour', now(), now())
      SQL
      sound = RecordJob.perform_later
      run_jobs(max_threads: 1)
      expect(events(sound)).to eq ["ran"]

      job = GoodJob::Job.find(binds.first)
      expect(attempts(job)).to eq [[job.error, :unhandled]]
      expect(job.error_event).to eq "unhandled"
      job.error
    end

    {
      "is NULL" => [nil, /PayloadError: .*nil/],
      "is an array" => ["[1]", /PayloadError: .*\[1\]/],
      "is a string" => ['"cheese"', /PayloadError: .*cheese/],
      "is an empty object" => ["{}", /\A\w.*: ./],
      "names no class" => ['{"job_class": null, "job_id": "1", "arguments": []}', /\A\w.*: ./],
      "names a class that is gone" => ['{"job_class": "GoneJob", "job_id": "1", "arguments": []}', /\A(?:NameError|ActiveJob::UnknownJobClassError): .*GoneJob/],
      "names a class that is no job" => ['{"job_class": "String", "job_id": "1", "arguments": []}', /\A\w.*: ./],
      "names a record that is gone" => [
        '{"job_class": "RecordJob", "job_id": "1", "arguments": [{"_aj_globalid": "gid://spec/Mouse/1"}]}', /ActiveJob::DeserializationError: .*gone/
      ]
    }.each do |what, (serialized_params, error)|
      it "ends the job as an unhandled error when it #{what}" do
        GlobalID.app = "spec"
        stub_const("Mouse", Class.new do
          include GlobalID::Identification

          def self.find(id)
            raise ActiveRecord::RecordNotFound, "mouse #{id} is gone"
          end
        end)
        expect(error_of(serialized_params)).to match error
      end
    end

    it "ends the job as an unhandled error when job_class and queue_name are NULL too" do
      expect(error_of(nil, queue_name: nil, job_class: nil)).to match(/PayloadError/)
    end

    it "is no matter when only the columns queue_name and job_class are NULL: the payload has what is needed" do
      job = RecordJob.perform_later
      GoodJob::Job.update_all(queue_name: nil, job_class: nil)
      run_jobs
      expect(events(job)).to eq ["ran"]
      expect(row(job)).to be_succeeded
    end
  end

  describe "an error's text" do
    def stored_error(message)
      perform { raise message }.error
    end

    it "is stored without the NUL bytes that Postgres cannot hold" do
      expect(stored_error("a\u0000b")).to match(/\ARuntimeError: a[^\u0000]b\z/)
    end

    it "is stored as valid UTF-8, with what was readable" do
      expect(stored_error("caf\xC3\xA9 \xFF cheese")).to eq "RuntimeError: café \uFFFD cheese"
      expect(stored_error("caf\xC3\xA9 \xFF cheese".b)).to match(/\ARuntimeError: caf.+ cheese\z/)
      expect(stored_error("caf\xE9".dup.force_encoding(Encoding::ISO_8859_1))).to eq "RuntimeError: café"
    end

    it "is bounded, and says that it was cut" do
      error = stored_error("cheese " * 200_000)
      expect(error).to start_with("RuntimeError: cheese cheese").and match(/cut|truncated|…/)
      expect(error.bytesize).to be_between(1_000, 100_000)
    end

    it "is bounded where the backtrace is deep" do
      job = perform do
        dig = ->(depth) { depth.zero? ? raise("deep") : dig.call(depth - 1) }
        dig.call(3_000)
      end
      expect(GoodJob::Execution.find_by!(active_job_id: job.id).error_backtrace.size).to be_between(100, 1_000)
    end
  end

  describe "what no job may do" do
    it "interrupts the run and not the worker: the job runs again, and knows" do
      worker = running_worker("--max-threads=2")
      jobs = (DyingJob::DEATHS.keys - ["SIGKILL"]).to_h { |death| [death, DyingJob.perform_later(death)] }
      wait_until_finished(*jobs.values)
      expect(jobs.transform_values { |job| events(job) }).to eq jobs.transform_values { %w[died lived] }

      jobs.each_value do |job|
        expect(executions(job)).to match [
          have_attributes(error: /\AGoodJob::InterruptedError: Interrupted after starting perform at '\d{4}-\d\d-\d\d /, error_event: "interrupted"),
          have_attributes(error: nil, error_event: nil)
        ]
        expect(row(job)).to have_attributes(error: nil, executions_count: 2, locked_by_id: nil)
      end
      expect(SpecRun.distinct.pluck(:pid)).to eq [worker.pid]
      expect(worker.stop.exitstatus).to eq 0
    end

    it "makes the job wait before its third attempt, and longer before each one after" do
      MouseJob.action = proc { raise Exception, "always" } # rubocop:disable Lint/RaiseException
      job = MouseJob.perform_later
      start_capsule
      wait_until("the second attempt to be cut short") { GoodJob::Execution.where(active_job_id: job.job_id).count == 2 }
      expect(row(job)).to have_attributes(finished_at: nil, locked_by_id: nil, error_event: "interrupted")
      expect(row(job).scheduled_at - row(job).updated_at).to be_between(1, 3)
    end

    it "may be widened: what handled_exceptions names, by class or by name, is stored as an error" do
      GoodJob.handled_exceptions = [StandardError, "ScriptError"]
      expect(perform { raise LoadError, "no such cheese" }).to have_attributes(error: "LoadError: no such cheese", error_event: "unhandled")
    end
  end
end
