# frozen_string_literal: true

require_relative "support/integration"
require_relative "support/listener"

RSpec.describe GoodJob, :database, :integration do
  after { described_class.configuration = nil }

  def configuration(**settings)
    GoodJob::Configuration.new(settings, rails: {}, env: {})
  end

  describe "its settings" do
    it "are read once, and may be replaced" do
      expect(described_class.configuration).to be described_class.configuration
      described_class.configuration = configuration(cleanup_preserved_jobs_before_seconds_ago: 60)
      job = RecordJob.perform_later
      GoodJob::Job.where(id: job.job_id).update_all(finished_at: 2.minutes.ago)
      expect(described_class.cleanup_preserved_jobs).to eq 1
    end

    it "name the exceptions that a job may raise, by class or by name" do
      described_class.handled_exceptions = [IOError, "EncodingError", :KeyError]
      expect(described_class.handled_exception_classes).to eq [IOError, EncodingError, KeyError]
      described_class.handled_exceptions = ["GoneError"]
      expect { described_class.handled_exception_classes }.to raise_error(NameError, /GoneError/)
    end
  end

  describe "its capsule" do
    it "is one, and may be another" do
      before = described_class.capsule
      expect(described_class.capsule).to be before
      described_class.capsule = new_capsule(enable_listen_notify: false)
      expect(described_class.capsule).to be capsules.last
      expect(Listener.during(SpecDatabase.url) { RecordJob.perform_later }).to be_empty
    ensure
      described_class.capsule = before
    end
  end

  describe "its constants" do
    it "are GoodJob's" do
      expect(GoodJob::GEM_VERSION).to eq Gem::Version.new(GoodJob::VERSION)
      expect(GoodJob::DEFAULT_LOGGER).to respond_to(:tagged, :info)
    end

    it "include one that stands for an argument that was not given, where nil means something" do
      expect(GoodJob::Capsule.instance_method(:shutdown).parameters).to eq [%i[key timeout]]
      capsule = start_capsule(shutdown_timeout: 0)
      wait_for_event(LatchedJob.perform_later(latch.path), "started")
      capsule.shutdown(timeout: GoodJob::NONE)
      expect(capsule).to be_shutdown
    end
  end

  describe "GoodJob.migrated?" do
    # The tables are as before after the block.
    def changing_tables(sql)
      ActiveRecord::Base.transaction do
        ActiveRecord::Base.connection.execute(sql)
        GoodJob::Job.reset_column_information
        yield
        raise ActiveRecord::Rollback
      end
    ensure
      GoodJob::Job.reset_column_information
    end

    it "looks for the tables and their columns" do
      expect(described_class).to be_migrated
      changing_tables("ALTER TABLE good_jobs DROP COLUMN lock_type") { expect(described_class).not_to be_migrated }
      changing_tables("ALTER TABLE good_jobs RENAME TO other_jobs") { expect(described_class).not_to be_migrated }
      expect(described_class).to be_migrated
    end
  end

  describe "what it has for applications that come from older versions" do
    it "is true, with a warning that it will go" do
      warnings = []
      behavior = described_class.deprecator.behavior
      described_class.deprecator.behavior = ->(message, _callstack) { warnings << message }
      expect(described_class.v4_ready?).to be true
      expect(warnings).to match [/v4_ready\? is true, and will be removed/]
    ensure
      described_class.deprecator.behavior = behavior
    end
  end
end
