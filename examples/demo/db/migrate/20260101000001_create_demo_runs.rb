# frozen_string_literal: true

# Without a unique index on purpose: a job that runs twice must be seen, not prevented.
class CreateDemoRuns < ActiveRecord::Migration[6.1]
  def change
    create_table :demo_runs do |t|
      t.uuid :job_id, null: false, index: true
      t.integer :attempt, null: false
      t.string :process, null: false
      t.datetime :created_at, null: false, precision: 6
    end
  end
end
