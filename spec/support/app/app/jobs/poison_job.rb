# frozen_string_literal: true

# Takes its process down each time, in one way or another.
class PoisonJob < ActiveJob::Base
  DEATHS = {
    "SIGKILL" => -> { Process.kill(:KILL, Process.pid) },
    "raise Exception" => -> { raise Exception, "not one that a job may handle" } # rubocop:disable Lint/RaiseException
  }.freeze

  def perform(death)
    SpecRun.record(self, "died")
    DEATHS.fetch(death).call
  end
end
