# frozen_string_literal: true

require_relative "record_job"

# Is enqueued only after the commit of an open transaction, where Active Job can wait for one.
class PatientJob < RecordJob
  waits = try(:enqueue_after_transaction_commit)
  self.enqueue_after_transaction_commit = waits.is_a?(Symbol) ? :always : true unless waits.nil?
end
