# frozen_string_literal: true

require_relative "../support/cluster"
require_relative "../support/integration"

RSpec.describe "Where the queue is, as Active Record is configured", :database, :integration do
  after { databases.each { |name| Postgres.drop(name) } }

  def databases
    @databases ||= []
  end

  # @return [String] the url of a database that the example changes, with the table in which jobs leave their traces
  def database(tables: true)
    databases << "#{SpecDatabase::NAME}_#{databases.size}"
    Postgres.create(databases.last, tables: tables).tap { |url| Postgres.execute(url, SpecRun::TABLE) }
  end

  # What database.yml says; Rails reads JSON there too.
  def database_yml(**configurations)
    file = File.join(File.dirname(latch.path), "database.yml")
    File.write(file, { production: configurations }.to_json)
    "config.paths['config/database'] = #{file.inspect}\n"
  end

  # An application that enqueues one job for now and one for later, and runs both.
  def expect_jobs_to_run(url: nil, configuration: "", env: {})
    env = { "DATABASE_URL" => url, "GOOD_JOB_EXECUTION_MODE" => "async_all" }.merge(env)
    application = rails("runner", <<~RUBY, env: env, configuration: configuration)
      include WaitUntil
      ActiveRecord::Base.connection.disable_query_cache!
      jobs = [RecordJob.perform_later, RecordJob.set(wait: 0.5).perform_later]
      wait_until { SpecRun.count == 2 }
      wait_until { GoodJob::Job.where(id: jobs.map(&:job_id)).all?(&:succeeded?) }
      puts "registered: \#{GoodJob::Process.count}"
    RUBY
    expect(application.wait(60)).to be_success
    expect(application.output).to include "registered: 1"
    expect(application.output).not_to match(/error/i)
  end

  def count(url, table)
    Integer(Postgres.execute(url, "SELECT count(*) FROM #{table}").first.fetch("count"))
  end

  it "is found under its table_name_prefix" do
    url = database
    SpecDatabase::TABLES.each { |table| Postgres.execute(url, "ALTER TABLE #{table} RENAME TO \"Acme_#{table}\"") }
    expect_jobs_to_run(url: url, configuration: 'config.active_record.table_name_prefix = "Acme_"')
    expect(%w[good_jobs good_job_executions].map { |table| count(url, "\"Acme_#{table}\"") }).to eq [2, 2]
  end

  it "is found in another schema, by schema_search_path" do
    url = database(tables: false)
    Postgres.execute(url, "CREATE SCHEMA \"the queue\"")
    name = databases.last
    Postgres.execute(Postgres.server_url, "ALTER DATABASE #{name} SET search_path TO \"the queue\", public")
    Postgres.migrate(url)
    Postgres.execute(Postgres.server_url, "ALTER DATABASE #{name} RESET search_path")

    yml = database_yml(primary: { adapter: "postgresql", url: url, schema_search_path: "\"the queue\",public" })
    expect_jobs_to_run(configuration: yml)
    expect(count(url, "\"the queue\".good_jobs")).to eq 2
  end

  describe "in a second database" do
    let(:primary) { database(tables: false) }
    let(:queue) { database }
    let(:two_databases) { database_yml(primary: { adapter: "postgresql", url: primary }, queue: { adapter: "postgresql", url: queue }) }

    it "is found through active_record_parent_class" do
      models = Project.path("spec/support/queue_models").to_s
      expect_jobs_to_run(configuration: <<~RUBY)
        #{two_databases}
        config.autoload_paths << #{models.inspect}
        config.eager_load_paths << #{models.inspect}
        GoodJob.active_record_parent_class = "QueueRecord"
      RUBY
      expect([count(queue, "good_jobs"), count(primary, "spec_runs"), count(queue, "spec_runs")]).to eq [2, 2, 0]
    end

    it "is found through configure_active_record" do
      expect_jobs_to_run(configuration: <<~RUBY)
        #{two_databases}
        GoodJob.configure_active_record { connects_to database: { writing: :queue, reading: :queue } }
      RUBY
      expect([count(queue, "good_jobs"), count(primary, "spec_runs"), count(queue, "spec_runs")]).to eq [2, 2, 0]
    end

    it "takes jobs in that database's transactions, not in the primary's" do
      script = rails("runner", <<~RUBY, env: { "DATABASE_URL" => nil }, configuration: <<~CONFIGURATION)
        ActiveRecord::Base.transaction { RecordJob.perform_later && raise(ActiveRecord::Rollback) }
        GoodJob::BaseRecord.transaction { RecordJob.perform_later && raise(ActiveRecord::Rollback) }
        puts "jobs: \#{GoodJob::Job.count}"
      RUBY
        #{two_databases}
        GoodJob.configure_active_record { connects_to database: { writing: :queue, reading: :queue } }
      CONFIGURATION
      expect(script.wait).to be_success
      expect(script.output).to include "jobs: 1"
    end
  end

  describe "in a server of its own" do
    let(:cluster) { Cluster.shared }
    let(:name) { cluster.create_database.tap { |name| Postgres.execute(cluster.url(name), SpecRun::TABLE) } }

    it "is reached by a socket's directory" do
      yml = database_yml(primary: { adapter: "postgresql", host: cluster.directory, port: cluster.port, database: name, username: "postgres" })
      expect_jobs_to_run(configuration: yml)
    end

    it "is reached with a password of odd characters, as a setting and in a url" do
      password = %q(s'e"c r\\e/t%40@:ü$#{}?&=;) # rubocop:disable Lint/InterpolationCheck -- an odd password
      cluster.create_user("mouse", password)
      yml = database_yml(primary: { adapter: "postgresql", host: "127.0.0.1", port: cluster.port, database: name, username: "mouse",
                                    password: password })
      expect_jobs_to_run(configuration: yml)

      Postgres.execute(cluster.url(name), "TRUNCATE spec_runs")
      expect_jobs_to_run(url: cluster.url_for("mouse", password, name))
    end
  end

  it "has its times in local time where default_timezone says so, and nothing is early or late by the difference" do
    url = database
    started_at = Time.now.utc.floor(6)
    expect_jobs_to_run(url: url, env: { "TZ" => "America/New_York" }, configuration: "config.active_record.default_timezone = :local")

    rows = Postgres.execute(url, <<~SQL)
      SELECT timezone('America/New_York', created_at) AS created_at, timezone('America/New_York', scheduled_at) AS scheduled_at,
             timezone('America/New_York', performed_at) AS performed_at, timezone('America/New_York', finished_at) AS finished_at
      FROM good_jobs ORDER BY scheduled_at
    SQL
    times = rows.map { |row| row.transform_values { |time| Time.parse(time) } }
    expect(times.flat_map(&:values)).to all(be_between(started_at, Time.now))
    expect(times.map { |row| row["performed_at"] - row["scheduled_at"] }).to all(be_between(0, 5))
    executions = Postgres.execute(url, "SELECT timezone('America/New_York', finished_at) AS finished_at FROM good_job_executions")
    expect(executions.map { |row| Time.parse(row["finished_at"]) }).to all(be_between(started_at, Time.now))
  end
end
