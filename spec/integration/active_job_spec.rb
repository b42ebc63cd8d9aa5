# frozen_string_literal: true

require "action_mailer"
require_relative "../support/integration"

RSpec.describe "Active Job's own features", :database, :integration do
  class ExpectedError < StandardError; end # rubocop:disable Lint/ConstantDefinitionInBlock
  class OtherError < StandardError; end # rubocop:disable Lint/ConstantDefinitionInBlock

  def define_job(&block)
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      def perform(*)
        SpecRun.record(self, "attempt #{executions}")
        raise ExpectedError, "m"
      end
      class_eval(&block)
    end)
  end

  # @return [Array] the treatments of the attempts, and the job's own text and state in the end
  def treatments(&block)
    define_job(&block)
    job = MouseJob.perform_later
    run_jobs
    [executions(job).map { |execution| execution.error_event&.to_sym }, row(job).error, row(job).status]
  end

  describe "what becomes of an error" do
    expected = "ExpectedError: m"
    {
      "nothing" => [proc {}, [:unhandled], expected, :discarded],
      "retry_on" => [proc { retry_on ExpectedError, wait: 0, attempts: 2 }, %i[retried retry_stopped], expected, :discarded],
      "retry_on with a block that returns" => [proc { retry_on(ExpectedError, wait: 0, attempts: 2) { |_job, _error| nil } }, %i[retried retry_stopped], expected, :discarded],
      "retry_on with a block that raises" => [
        proc { retry_on(ExpectedError, wait: 0, attempts: 2) { raise OtherError, "o" } }, %i[retried unhandled], "OtherError: o", :discarded
      ],
      "retry_on of a parent class, and of several" => [proc { retry_on IOError, StandardError, wait: 0, attempts: 3 }, %i[retried retried retry_stopped], expected, :discarded],
      "retry_on of another error" => [proc { retry_on OtherError, wait: 0, attempts: 3 }, [:unhandled], expected, :discarded],
      "discard_on" => [proc { discard_on ExpectedError }, [:discarded], expected, :discarded],
      "discard_on with a block" => [proc { discard_on(ExpectedError) { |_job, _error| nil } }, [:discarded], expected, :discarded],
      "discard_on with a block that raises" => [proc { discard_on(ExpectedError) { raise OtherError, "o" } }, [:unhandled], "OtherError: o", :discarded],
      "rescue_from" => [proc { rescue_from(ExpectedError) { nil } }, [:handled], expected, :discarded],
      "rescue_from that raises" => [proc { rescue_from(ExpectedError) { raise OtherError, "o" } }, [:unhandled], "OtherError: o", :discarded],
      "rescue_from that retries" => [
        proc { rescue_from(ExpectedError) { |_error| retry_job(wait: 0) if executions < 3 } }, %i[handled handled handled], expected, :discarded
      ],
      "rescue_from that retries, naming the error" => [
        proc { rescue_from(ExpectedError) { |error| retry_job(wait: 0, error: error) if executions < 2 } }, %i[retried handled], expected, :discarded
      ],
      "retry_on and discard_on, the last one first" => [
        proc { retry_on(ExpectedError, wait: 0) && discard_on(ExpectedError) }, [:discarded], expected, :discarded
      ],
      "a rescue in perform" => [
        proc { define_method(:perform) { raise ExpectedError rescue nil } }, [nil], nil, :succeeded # rubocop:disable Style/RescueModifier
      ],
      "an error after perform" => [
        proc { define_method(:perform) { nil } && after_perform { raise ExpectedError, "m" } }, [:unhandled], expected, :discarded
      ],
      "a callback that stops the job" => [proc { before_perform { throw :abort } }, [nil], nil, :succeeded],
      "a callback that does not go on" => [proc { around_perform { |_job, _block| nil } }, [nil], nil, :succeeded]
    }.each do |what, (block, events, error, status)|
      it "is #{events.inspect} with #{what}" do
        expect(treatments { class_eval(&block) }).to eq [events, error, status]
      end
    end

    it "has a counter for each retry_on" do
      define_job do
        retry_on ExpectedError, wait: 0, attempts: 3
        retry_on OtherError, wait: 0, attempts: 2
        define_method(:perform) { raise executions.odd? ? ExpectedError : OtherError }
      end
      job = MouseJob.perform_later
      run_jobs
      expect(executions(job).map(&:error_event)).to eq %w[retried retried retried retry_stopped]
      expect(row(job).serialized_params["exception_executions"]).to eq("[ExpectedError]" => 2, "[OtherError]" => 1)
    end

    it "is told to after_discard, once, where Active Job has that" do
      skip "Active Job has no after_discard" unless ActiveJob::Base.respond_to?(:after_discard)

      { proc {} => 1, proc { discard_on ExpectedError } => 1, proc { retry_on ExpectedError, wait: 0, attempts: 2 } => 1,
        proc { rescue_from(ExpectedError) { nil } } => 0 }.each do |block, times|
        define_job do
          class_eval(&block)
          after_discard { |job, error| SpecRun.record(job, "discarded by #{error.class}") }
        end
        job = MouseJob.perform_later
        run_jobs
        expect(events(job).count("discarded by ExpectedError")).to eq times
      end
    end
  end

  describe "what a job takes along" do
    it "is its language and its time zone, through retries" do
      I18n.available_locales = I18n.available_locales | [:de]
      define_job do
        retry_on ExpectedError, wait: 0, attempts: 2
        define_method(:perform) do
          SpecRun.record(self, "#{I18n.locale} #{Time.zone.name}")
          raise ExpectedError if executions == 1
        end
      end
      job = I18n.with_locale(:de) { Time.use_zone("Tokyo") { MouseJob.perform_later } }
      run_jobs
      expect(events(job)).to eq ["de Tokyo"] * 2
    end

    it "is a record by its GlobalID, as it is when the job runs" do
      GlobalID.app = "spec"
      stub_const("Diary", Class.new(ActiveRecord::Base) do
        include GlobalID::Identification
        self.table_name = "spec_runs"
      end)
      define_job { define_method(:perform) { |diary| SpecRun.record(self, "read #{diary.event}") } }
      diary = Diary.create!(job_id: SecureRandom.uuid, event: "old", pid: 0)
      job = MouseJob.perform_later(diary)
      diary.update!(event: "new")
      run_jobs
      expect(events(job)).to eq ["read new"]
    end

    it "is all that Active Job serializes" do
      arguments = [1, 2.5, "a", :b, nil, true, { "s" => 1, sym: [2] }, Time.utc(2035, 1, 1), Date.new(2035, 1, 1), 3.days, (1..4), BigDecimal("1.5")]
      arguments.pop(2) unless defined?(ActiveJob::Serializers::RangeSerializer) && defined?(ActiveJob::Serializers::BigDecimalSerializer)
      seen = nil
      define_job { define_method(:perform) { |*given| seen = given } }
      MouseJob.perform_later(*arguments)
      run_jobs
      expect(seen).to eq arguments
    end

    it "is an error where it cannot be serialized, and nothing is enqueued" do
      define_job { nil }
      expect { MouseJob.perform_later(Object.new) }.to raise_error(ActiveJob::SerializationError)
      expect(GoodJob::Job.count).to eq 0
    end
  end

  it "sends mails later" do
    stub_const("MouseMailer", Class.new(ActionMailer::Base) do
      def squeak(to)
        mail(from: "mouse@example.com", to: to, subject: "squeak", body: "!")
      end
    end)
    ActionMailer::Base.delivery_method = :test
    MouseMailer.squeak("cat@example.com").deliver_later(queue: "mail", priority: 7)
    expect(GoodJob::Job.first).to have_attributes(queue_name: "mail", priority: 7, display_name: "MouseMailer#squeak")
    run_jobs
    expect(ActionMailer::Base.deliveries.map(&:to)).to eq [["cat@example.com"]]
  end

  it "lets a long job know that it should stop, by its adapter" do
    define_job do
      define_method(:perform) do |latch|
        SpecRun.record(self, "stopping: #{queue_adapter.stopping?}")
        Latch.new(latch).wait
        SpecRun.record(self, "stopping: #{queue_adapter.stopping?} #{queue_adapter.stopping?(self)}")
      end
    end
    job = MouseJob.perform_later(latch.path)
    capsule = start_capsule
    wait_for_event(job, "stopping: false")
    capsule.shutdown(timeout: nil)
    latch.open
    wait_for_event(job, "stopping: false", "stopping: true true")
    expect(ActiveJob::Base.queue_adapter.stopping?).to be false
  end
end
