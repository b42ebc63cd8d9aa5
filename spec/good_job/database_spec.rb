# frozen_string_literal: true

require "good_job"

RSpec.describe GoodJob::Database do
  def database(adapter: "postgresql", **settings)
    record_class = class_double(ActiveRecord::Base, to_s: "QueueRecord")
    config = ActiveRecord::DatabaseConfigurations::HashConfig.new("test", "primary", { adapter: adapter, **settings })
    allow(record_class).to receive(:connection_db_config).and_return(config)
    described_class.new(record_class)
  end

  it "calls Active Record's settings by libpq's names, as text, and leaves out what libpq does not know" do
    connection = database(username: "mouse", database: "cheese", port: 5433, password: "s'ecret", pool: 5, encoding: "unicode").connection
    expect(connection).to include(user: "mouse", dbname: "cheese", port: "5433", password: "s'ecret")
    expect(connection.keys & %i[username database pool encoding adapter]).to be_empty
    expect(connection.values).to all(be_a(String).and(satisfy { |value| !value.empty? }))
  end

  it "takes libpq's own defaults, the environment included" do
    original = ENV.fetch("PGHOST", nil)
    ENV["PGHOST"] = "/var/run/cheese"
    expect(database.connection).to include(host: "/var/run/cheese", port: "5432")
    expect(database(host: "db").connection).to include(host: "db")
  ensure
    ENV["PGHOST"] = original
  end

  it "asks for TLS where requiressl does" do
    expect(database(requiressl: 1).connection[:sslmode]).to eq "require"
  end

  it "sets in a session what Active Record sets" do
    session = database(variables: { statement_timeout: 5000, "search_mode" => ":default", timezone: "Asia/Tokyo", off: nil },
                       schema_search_path: "queue,public").session
    expect(session).to eq(timezone: "UTC", schema_search_path: "queue,public", application_name: "GoodJob",
                          variables: { statement_timeout: "5000", search_mode: nil })
  end

  it "says which database is not PostgreSQL and what to do" do
    expect { database(adapter: "sqlite3").connection }
      .to raise_error(GoodJob::DatabaseError, /primary.*QueueRecord.*"sqlite3".*active_record_parent_class/)
  end

  it "takes adapters derived from PostgreSQL's" do
    expect { database(adapter: "postgis").connection }.not_to raise_error
  end

  describe ".time_zone" do
    around do |example|
      owner = ActiveRecord.respond_to?(:default_timezone=) ? ActiveRecord : ActiveRecord::Base
      original = [ENV.fetch("TZ", nil), owner.default_timezone]
      owner.default_timezone = :local
      example.run
      ENV["TZ"], owner.default_timezone = original
    end

    it "is the zone that TZ names" do
      ENV["TZ"] = ":Europe/Berlin"
      expect(described_class.time_zone).to eq "Europe/Berlin"
    end

    it "is the system's zone without TZ" do
      ENV["TZ"] = nil
      allow(File).to receive(:readlink).with("/etc/localtime").and_return("/usr/share/zoneinfo/America/St_Johns")
      expect(described_class.time_zone).to eq "America/St_Johns"
    end

    it "is the present offset, in Postgres' signs, where the system does not say its zone" do
      ENV["TZ"] = nil
      allow(File).to receive(:readlink).and_raise(Errno::EINVAL)
      allow(Time).to receive(:now).and_return(Time.new(2026, 1, 1, 0, 0, 0, "+05:30"))
      expect(described_class.time_zone).to eq "<local>-05:30"
    end
  end
end
