# frozen_string_literal: true

# What happened to a job, as it says itself.
class SpecRun < ActiveRecord::Base
  self.table_name = "spec_runs"

  TABLE = <<~SQL
    CREATE TABLE IF NOT EXISTS spec_runs (
      id bigserial PRIMARY KEY, job_id uuid NOT NULL, event text NOT NULL, pid integer NOT NULL, thread text,
      at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
  SQL

  # In one statement.
  def self.record(job, event)
    insert({ job_id: job.job_id, event: event, pid: Process.pid, thread: Thread.current.name })
  end
end
