# frozen_string_literal: true

require "active_support/core_ext/digest/uuid"
require "openssl"
require_relative "../../support/integration"

RSpec.describe GoodJob::AdvisoryLockable, :database, :integration do
  let(:job) { GoodJob::Job.create!(id: SecureRandom.uuid, queue_name: "mice") }
  let(:other) { GoodJob::Job.create!(id: SecureRandom.uuid, queue_name: "rats") }

  # Whether another session can lock it.
  def free?(record)
    key = "('x' || substr(md5('#{record.class.table_name}-#{record.id}'), 1, 16))::bit(64)::int8"
    Postgres.execute(SpecDatabase.url, "SELECT pg_try_advisory_lock(#{key}) AS free").first["free"] == "t"
  end

  after { GoodJob::Job.advisory_unlock_session }

  {
    "good_jobs-00000000-0000-0000-0000-000000000001" => -7_494_713_107_797_847_757,
    "good_job_batches-00000000-0000-0000-0000-000000000001" => 8_904_480_428_901_062_363,
    "good_job_processes-00000000-0000-0000-0000-000000000001" => -2_810_727_632_018_810_485,
    "label:testlabel" => 3_449_411_615_124_697_412
  }.each do |text, key|
    it "hashes #{text} as GoodJob does" do
      expect(Postgres.execute(SpecDatabase.url, "SELECT #{described_class.key_sql("'#{text}'")} AS key").first["key"]).to eq key.to_s
    end
  end

  it "locks a record for the session, again and again, and gives it up" do
    expect([job.advisory_locked?, job.owns_advisory_lock?]).to eq [false, false]
    expect(job.advisory_lock).to be true
    job.advisory_lock!
    expect([free?(job), job.advisory_locked?, job.owns_advisory_lock?]).to eq [false, true, true]
    job.advisory_unlock
    expect(free?(job)).to be false
    job.advisory_lock
    job.advisory_unlock!
    expect([free?(job), job.owns_advisory_lock?]).to eq [true, false]
  end

  it "locks for a block, and says who is in the way otherwise" do
    expect(job.with_advisory_lock { free?(job) }).to be false
    expect(free?(job)).to be true
    PG.connect(SpecDatabase.url) do |session|
      session.exec("SELECT pg_advisory_lock(#{described_class.key_sql("'#{job.lockable_key}'")})")
      expect(job.advisory_lock).to be false
      expect { job.with_advisory_lock { raise "not to be reached" } }.to raise_error(described_class::RecordAlreadyAdvisoryLockedError)
      expect(job).to be_advisory_locked
      expect(job).not_to be_owns_advisory_lock
    end
  end

  it "locks text keys, with and without a block" do
    expect(GoodJob::Job.advisory_lock_key("cheese") { GoodJob::Job.owns_advisory_lock_key?("cheese") }).to be true
    expect(GoodJob::Job.advisory_locked_key?("cheese")).to be false
    expect(GoodJob::Job.advisory_lock_key("cheese", function: "pg_try_advisory_lock")).to be true
    expect(GoodJob::Job.advisory_unlock_key("cheese")).to be true
    expect { GoodJob::Job.advisory_lock_key("cheese", function: "pg_sleep(1); --") }.to raise_error(ArgumentError)
  end

  it "finds records by their locks" do
    job.advisory_lock
    other
    expect(GoodJob::Job.advisory_locked).to eq [job]
    expect(GoodJob::Job.owns_advisory_locked).to eq [job]
    expect(GoodJob::Job.advisory_unlocked).to eq [other]
    expect(GoodJob::Job.includes_advisory_locks.to_h { |record| [record, record.running?] }).to eq(job => true, other => false)
  end

  it "locks the first records that are free, and no others" do
    third = GoodJob::Job.create!(id: SecureRandom.uuid, queue_name: "cats", created_at: 1.day.from_now)
    PG.connect(SpecDatabase.url) do |session|
      session.exec("SELECT pg_advisory_lock(#{described_class.key_sql("'#{job.lockable_key}'")})")
      other
      GoodJob::Job.order(:created_at).limit(1).with_advisory_lock(select_limit: 10) do |jobs|
        expect(jobs).to eq [other]
        expect([free?(other), free?(third)]).to eq [false, true]
      end
      expect(free?(other)).to be true
    end
  end

  it "locks what is free of a relation, and keeps it locked" do
    [job, other].each { |record| record.update!(priority: 1) }
    third = GoodJob::Job.create!(id: SecureRandom.uuid, queue_name: "cats", priority: 2)
    PG.connect(SpecDatabase.url) do |session|
      session.exec("SELECT pg_advisory_lock(#{described_class.key_sql("'#{job.lockable_key}'")})")
      expect(GoodJob::Job.where(priority: 1).advisory_lock.to_a).to eq [other]
    end
    expect([free?(job), free?(other), free?(third)]).to eq [true, false, true]
  end

  it "gives up text keys however often they were taken, or all that the session has" do
    2.times { GoodJob::Job.advisory_lock_key("cheese") }
    GoodJob::Job.advisory_unlock_key!("cheese")
    expect(GoodJob::Job.advisory_locked_key?("cheese")).to be false
    2.times { GoodJob::Job.advisory_lock_key("cheese") }
    job.advisory_lock
    GoodJob::Job.advisory_unlock_session
    expect([GoodJob::Job.advisory_locked_key?("cheese"), free?(job)]).to eq [false, true]
  end

  it "joins each record with its lock, if there is one" do
    job.advisory_lock
    other
    joined = GoodJob::Job.joins_advisory_locks
    expect(joined).to contain_exactly(job, other)
    expect(joined.where("pg_locks.locktype IS NOT NULL")).to eq [job]
    expect(joined.where("pg_locks.pid = pg_backend_pid()")).to eq [job]
  end

  it "locks batches" do
    batch = GoodJob::BatchRecord.create!
    expect(batch.with_advisory_lock { [free?(batch), batch.advisory_locked?] }).to eq [false, true]
    expect(free?(batch)).to be true
    expect(batch.lockable_key).to eq "good_job_batches-#{batch.id}"
  end

  it "creates a record that is locked" do
    process = GoodJob::Process.find_or_create_record(id: SecureRandom.uuid, with_advisory_lock: true)
    expect(free?(process)).to be false
    expect(process).to have_attributes(lock_type: "advisory", state: include("pid" => Process.pid))
    process.advisory_unlock
  end

  describe "other hashes" do
    text = "good_jobs-00000000-0000-0000-0000-000000000001"

    # The first 16 digits, as a signed integer of 64 bits.
    def key_of(hexadecimal)
      [hexadecimal.delete("-")[0, 16]].pack("H*").unpack1("q>")
    end

    def available?(extension)
      Postgres.execute(SpecDatabase.url, "SELECT FROM pg_available_extensions WHERE name = $1", [extension]).any?
    end

    after { described_class.hash_function = "md5" }

    {
      "sha1" => [Digest::SHA1.hexdigest(text), "pgcrypto"], "uuid_v5" => [Digest::UUID.uuid_v5(Digest::UUID::DNS_NAMESPACE, text), "uuid-ossp"],
      "sha224" => [OpenSSL::Digest.hexdigest("SHA224", text)], "sha256" => [Digest::SHA256.hexdigest(text)],
      "sha384" => [Digest::SHA384.hexdigest(text)], "sha512" => [Digest::SHA512.hexdigest(text)]
    }.each do |function, (hexadecimal, extension)|
      it "include #{function}" do
        skip "The server does not have the extension #{extension}." if extension && !available?(extension)

        Postgres.execute(SpecDatabase.url, "CREATE EXTENSION IF NOT EXISTS \"#{extension}\"") if extension
        described_class.hash_function = function
        key = Postgres.execute(SpecDatabase.url, "SELECT #{described_class.key_sql("'#{text}'")} AS key").first["key"]
        expect(key).to eq key_of(hexadecimal).to_s
        expect(GoodJob::Job.advisory_lock_key(text)).to be true
        expect(GoodJob::Job.owns_advisory_lock_key?(text)).to be true
      ensure
        GoodJob::Job.advisory_unlock_session
      end
    end
  end

  it "takes other hashes, and refuses what is none" do
    { "hashtext" => 32, "sha256" => 64, "md5" => 64 }.each_key do |function|
      described_class.hash_function = function
      expect(job.advisory_lock).to be true
      expect(job.owns_advisory_lock?).to be true
      job.advisory_unlock
    end
    described_class.hash_function = "crc"
    expect { job.advisory_lock }.to raise_error(ArgumentError, /"crc".*md5/)
  ensure
    described_class.hash_function = "md5"
  end
end
