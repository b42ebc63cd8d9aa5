# frozen_string_literal: true

require_relative "patient_job"

# Fails at first.
class AgainJob < PatientJob
  retry_on RuntimeError, wait: 0

  def perform
    raise "not yet" if executions == 1

    super
  end
end
