# frozen_string_literal: true

require_relative "../support/catalog"
require_relative "../support/host_app"

RSpec.describe "rails generate good_job:install" do
  def database(name)
    "good_job_rs_#{name}_#{Process.pid}"
  end

  def catalog(name)
    Catalog.new(Postgres.url(database(name)))
  end

  before(:context) { Postgres.create(database(:plain)) }

  after(:context) { %i[plain app other].each { |name| Postgres.drop(database(name)) } }

  before { Postgres.create(database(:app), tables: false) }

  after { app.remove }

  let(:app) { HostApp.new(databases: { primary: database(:app) }) }

  it "writes a migration that makes the same tables as the gem's SQL, columns in the same order, and can be rolled back" do
    app.rails "generate", "good_job:install"
    app.rails "db:migrate"

    expect(app.files("db/migrate/*")).to match [%r{\Adb/migrate/\d{14}_create_good_jobs\.rb\z}]
    expect(catalog(:app).columns).to eq catalog(:plain).columns
    expect(catalog(:app).to_h).to eq catalog(:plain).to_h

    app.rails "db:rollback"

    expect(catalog(:app).tables).to be_empty
  end

  it "makes tables that schema.rb dumps and loads back unchanged" do
    app.rails "generate", "good_job:install"
    app.rails "db:migrate"
    Postgres.create(database(:other), tables: false)
    reader = HostApp.new(databases: { primary: database(:other) })
    reader.write "db/schema.rb", app.read("db/schema.rb")
    reader.rails "db:schema:load"

    expect(catalog(:other).to_h).to eq catalog(:plain).to_h
  ensure
    reader&.remove
  end

  it "writes a migration that stays as it is when the gem is upgraded: it reads nothing of the gem's" do
    app.rails "generate", "good_job:install"

    code = app.read(app.files("db/migrate/*").first).lines.grep_v(/^\s*#/)
    expect(code.grep(/require|File|GoodJob/)).to match [/\Aclass CreateGoodJobs < ActiveRecord::Migration\[\d+\.\d+\]$/]
  end

  it "can be required by its path, as good_job:update can" do
    said = app.rails "runner", <<~RUBY
      %w[install update].each { |name| require "generators/good_job/\#{name}_generator" }
      puts [GoodJob::InstallGenerator, GoodJob::UpdateGenerator].map { |generator| generator.superclass.name }.inspect
    RUBY
    expect(said).to include '["Rails::Generators::Base", "Rails::Generators::Base"]'
  end

  context "when the application prefixes its tables" do
    let(:app) { HostApp.new(databases: { primary: database(:app) }, configuration: "config.active_record.table_name_prefix = \"acme_\"") }

    it "prefixes the queue's tables too" do
      app.rails "generate", "good_job:install"
      app.rails "db:migrate"

      expect(catalog(:app).tables).to eq catalog(:plain).tables.map { |table| "acme_#{table}" }.sort
    end
  end

  context "when the application has several databases" do
    let(:app) { HostApp.new(databases: { primary: database(:other), queue: database(:app) }) }

    before { Postgres.create(database(:other), tables: false) }

    it "writes the migration where the named one has its migrations" do
      app.rails "generate", "good_job:install", "--database", "queue"
      app.rails "db:migrate"

      expect(app.files("db/queue_migrate/*_create_good_jobs.rb").size).to eq 1
      expect(catalog(:app).to_h).to eq catalog(:plain).to_h
    end

    it "takes its name by --db as well" do
      app.rails "generate", "good_job:install", "--db", "queue"

      expect(app.files("db/**/*.rb")).to match [%r{\Adb/queue_migrate/\d{14}_create_good_jobs\.rb\z}]
    end

    it "refuses a name that config/database.yml does not have" do
      expect { app.rails "generate", "good_job:install", "--database", "qeue" }
        .to raise_error(HostApp::CommandFailed, /no database "qeue", only "primary", "queue"/)
      expect(app.files("db/**/*.rb")).to be_empty
    end
  end
end
