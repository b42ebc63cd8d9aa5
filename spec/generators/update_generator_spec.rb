# frozen_string_literal: true

require_relative "../support/catalog"
require_relative "../support/host_app"

RSpec.describe "rails generate good_job:update" do
  let(:database) { "good_job_rs_update_#{Process.pid}" }
  let!(:url) { Postgres.create(database) }
  let(:app) { HostApp.new(databases: { primary: database }) }
  let(:catalog) { Catalog.new(url) }

  after do
    app.remove
    Postgres.drop(database)
  end

  # As GoodJob 4.0 leaves its tables, as far as it matters here.
  def make_tables_of_good_job
    Postgres.execute(url, <<~SQL)
      ALTER TABLE good_jobs RESET (fillfactor), DROP COLUMN lock_type;
      ALTER TABLE good_job_batches DROP COLUMN jobs_finished_at;
      DROP INDEX index_good_jobs_for_claim, index_good_jobs_for_claim_by_queue, index_good_jobs_on_locked_by_id;
    SQL
  end

  def column?(table, name)
    catalog.columns.any? { |column| column.values_at("table", "column") == [table, name] }
  end

  def parameters
    catalog.storage.find { |table| table.fetch("table") == "good_jobs" }.fetch("parameters")
  end

  def update
    app.rails "generate", "good_job:update"
    app.rails "db:migrate"
  end

  it "adds the columns and indexes that tables made by GoodJob lack" do
    make_tables_of_good_job
    update

    expect(column?("good_jobs", "lock_type")).to be true
    expect(column?("good_job_batches", "jobs_finished_at")).to be true
    expect(catalog.index_names).to include("index_good_jobs_for_claim", "index_good_jobs_for_claim_by_queue", "index_good_jobs_on_locked_by_id")
    expect(parameters).to eq "{fillfactor=50}"
  end

  it "changes nothing where nothing is missing, and can be run again" do
    before = catalog.to_h
    update
    Postgres.execute(url, "DELETE FROM schema_migrations")
    app.rails "db:migrate"

    expect(catalog.to_h).to eq before
  end

  it "does not build the claim index twice where GoodJob has it under its own name" do
    Postgres.execute(url, "ALTER INDEX index_good_jobs_for_claim RENAME TO index_good_jobs_for_candidate_dequeue_unlocked")
    update

    expect(catalog.index_names).not_to include "index_good_jobs_for_claim"
  end

  it "rolls back its indexes and leaves the columns, which may be GoodJob's" do
    make_tables_of_good_job
    update
    app.rails "db:rollback"

    expect(catalog.index_names).not_to include(/for_claim/)
    expect(parameters).to be_nil
    expect(column?("good_jobs", "lock_type")).to be true
  end

  it "builds an index again that an interrupted run left half built" do
    Postgres.execute(url, "UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'index_good_jobs_for_claim_by_queue'::regclass")
    update

    valid = Postgres.execute(url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'index_good_jobs_for_claim_by_queue'::regclass")
    expect(valid).to eq [{ "indisvalid" => "t" }]
  end

  it "has nothing to do for tables that this gem installed" do
    app.rails "generate", "good_job:install"

    expect(app.rails("generate", "good_job:update")).to include "Nothing to do"
    expect(app.files("db/migrate/*").size).to eq 1
  end
end
