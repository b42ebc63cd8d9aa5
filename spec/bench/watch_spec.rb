# frozen_string_literal: true

require_relative "../../bench/support/command_line"

RSpec.describe Bench::Watch do
  around { |example| ScratchDatabase.open("watch") { |database| with_tables(database.url) { example.run } } }

  attr_reader :connection

  def with_tables(url)
    Postgres.migrate(url)
    @connection = PG.connect(url)
    described_class.new(connection).start
    yield
  ensure
    connection&.close
  end

  # A job that ended as the queue ends jobs.
  def finished_job
    connection.exec(<<~SQL).getvalue(0, 0)
      WITH job AS (
        INSERT INTO good_jobs (created_at, updated_at, performed_at, finished_at, executions_count)
        VALUES (now(), now(), '2026-01-01 00:00:01', '2026-01-01 00:00:02', 1) RETURNING id, performed_at, finished_at
      )
      INSERT INTO good_job_executions (active_job_id, created_at, updated_at, finished_at) SELECT id, performed_at, now(), finished_at FROM job
      RETURNING active_job_id
    SQL
  end

  def overwritten
    described_class.new(connection).overwritten
  end

  it "finds nothing where each job is as its last execution left it" do
    finished_job
    expect(overwritten).to eq 0
  end

  {
    "a job that was changed after its end" => "UPDATE good_jobs SET error = error",
    "a job that was taken away after its end" => "DELETE FROM good_jobs",
    "an execution that was changed" => "UPDATE good_job_executions SET updated_at = now()",
    "a job that succeeded twice" => "INSERT INTO good_job_executions (active_job_id, created_at, updated_at) SELECT id, now(), now() FROM good_jobs"
  }.each do |what, change|
    it "finds #{what}" do
      finished_job
      connection.exec(change)
      expect(overwritten).to be_positive
    end
  end

  it "finds a job whose times are not those of its execution" do
    finished_job
    connection.exec("ALTER TABLE good_jobs DISABLE TRIGGER ALL; UPDATE good_jobs SET finished_at = now()")
    expect(overwritten).to eq 1
  end
end
