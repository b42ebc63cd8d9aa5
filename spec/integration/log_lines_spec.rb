# frozen_string_literal: true

require "stringio"
require_relative "../support/integration"

RSpec.describe "Log lines", :database, :integration do
  # @param level [Symbol]
  # @return [StringIO] where the lines go from now on; each begins with the letter of its level
  def log_at(level)
    StringIO.new.tap { |io| GoodJob.logger = ActiveSupport::TaggedLogging.new(Logger.new(io, level: level, formatter: Logger::Formatter.new)) }
  end

  # @return [Array<String>] the lines that match
  def lines(log, pattern)
    log.string.lines(chomp: true).grep(pattern)
  end

  it "say how a pool was started, by which version, in which process and on which thread" do
    log = log_at(:info)
    start_capsule(queues: "mice:2;rats:1")
    version = Regexp.escape(GoodJob::VERSION)
    started = /\AI, .*: \[GoodJob\] \[#{Process.pid}\] \[\S+\] GoodJob #{version} started scheduler with queues=(?:mice max_threads=2|rats max_threads=1)\.\z/
    expect(lines(log, started).size).to eq 2
  end

  it "say that a job was executed, in which process and on which thread" do
    log = log_at(:info)
    job = RecordJob.perform_later
    run_jobs(max_threads: 1)
    expect(lines(log, /\AI, .*: \[GoodJob\] \[#{Process.pid}\] \[good_job \* 1\] Executed GoodJob #{job.job_id}\z/).size).to eq 1
  end

  it "say that a job was executed in the inline mode, on a thread without a name, too" do
    log = log_at(:info)
    use_adapter(:inline)
    job = Thread.new { ActiveRecord::Base.connection_pool.with_connection { RecordJob.perform_later } }.value
    expect(lines(log, /\[GoodJob\] \[#{Process.pid}\] \[\d+\] Executed GoodJob #{job.job_id}\z/).size).to eq 1
  end

  it "say that there is a session that listens, and at the level debug what it hears" do
    log = log_at(:debug)
    start_capsule
    wait_until("it to listen") { lines(log, /\AI, .*: \[GoodJob\] Notifier subscribed with LISTEN\z/).any? }
    RecordJob.set(queue: "mice").perform_later
    wait_until("it to hear") { lines(log, /\AD, .*: \[GoodJob\] .*"queue_name" ?: ?"mice"/).any? }
  end

  it "warn of the jobs that were interrupted" do
    log = log_at(:warn)
    capsule = start_capsule
    job = LatchedJob.perform_later(latch.path)
    wait_for_event(job, "started")
    capsule.shutdown(timeout: 0)
    expect(lines(log, /\AW, .*: \[GoodJob\] \[#{Process.pid}\] \[\S+\] .*#{job.job_id}/).size).to eq 1
  end

  it "say what went wrong outside of a job, with the backtrace" do
    log = log_at(:error)
    GoodJob.preserve_job_records = ->(*) { raise IOError, "no cheese" }
    RecordJob.perform_later
    run_jobs
    expect(log.string).to match(/^E, .*: \[GoodJob\] .*errored: IOError: no cheese\n\S*#{Regexp.escape(File.basename(__FILE__))}:\d+:in /)
  end

  describe "of a refused enqueue" do
    before do
      stub_const("MouseJob", Class.new(ActiveJob::Base) do
        include GoodJob::ActiveJobExtensions::Concurrency

        good_job_control_concurrency_with(enqueue_throttle: [2, 60], key: "cheese")
      end)
    end

    it "say which job, which key, and which limit of how many in a time" do
      log = log_at(:info)
      3.times { MouseJob.perform_later }
      expect(lines(log, /\AI, .*: \[GoodJob\] .*MouseJob \(Job ID: \h{8}-\S+ .*'cheese'.*throttle limit of 2 jobs\z/).size).to eq 1
    end

    it "are tagged as Active Job's where Active Job's own are" do
      log = log_at(:info)
      # As it tags what a job that runs has to say.
      GoodJob.logger.tagged("ActiveJob", "RatJob", "1") { 3.times { MouseJob.perform_later } }
      expect(lines(log, /\[RatJob\] \[1\] \[ActiveJob\] \[GoodJob\] .*throttle limit of 2 jobs/).size).to eq 1
    end
  end

  it "go to every logger of LogSubscriber.loggers, until the list is reset" do
    log = log_at(:info)
    other = StringIO.new
    GoodJob::LogSubscriber.loggers << Logger.new(other)
    GoodJob.report_error(IOError.new("first"))
    GoodJob::LogSubscriber.reset_logger
    GoodJob.report_error(IOError.new("second"))

    expect(lines(log, /errored: IOError: (?:first|second)/).size).to eq 2
    expect(other.string).to include("errored: IOError: first").and(satisfy { |text| !text.include?("second") })
    expect(GoodJob::LogSubscriber.loggers).to eq [GoodJob.logger]
  end
end
