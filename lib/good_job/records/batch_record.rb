# frozen_string_literal: true

module GoodJob
  # A row of good_job_batches.
  class BatchRecord < BaseRecord
    good_job_table "good_job_batches"
    self.implicit_order_column = "created_at"

    has_many :jobs, class_name: "GoodJob::Job", foreign_key: :batch_id, inverse_of: :batch
    has_many :callback_jobs, class_name: "GoodJob::Job", foreign_key: :batch_callback_id, inverse_of: :callback_batch

    scope :finished, -> { where.not(finished_at: nil) }
    scope :discarded, -> { where.not(discarded_at: nil) }
    scope :not_discarded, -> { where(discarded_at: nil) }
    scope :succeeded, -> { finished.not_discarded }
    scope :finished_before, ->(time) { where(finished_at: ..time) }

    ActiveSupport.run_load_hooks(:good_job_batch_record, self)
  end
end
