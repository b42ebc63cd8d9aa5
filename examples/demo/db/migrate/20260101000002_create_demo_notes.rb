# frozen_string_literal: true

class CreateDemoNotes < ActiveRecord::Migration[6.1]
  def change
    create_table :demo_notes do |t|
      t.string :subject, null: false, index: true
      t.uuid :job_id
      t.text :text, null: false
      t.datetime :created_at, null: false, precision: 6
    end
  end
end
