# frozen_string_literal: true

# Does at its first attempt what no job should do; succeeds at its second.
class DyingJob < ActiveJob::Base
  DEATHS = {
    "Thread.exit" => -> { Thread.exit },
    "Thread.current.kill" => -> { Thread.current.kill },
    "exit" => -> { exit },
    "raise Exception" => -> { raise Exception, "not one that a job may handle" }, # rubocop:disable Lint/RaiseException
    "SIGKILL" => -> { Process.kill(:KILL, Process.pid) }
  }.freeze

  def perform(death)
    first = SpecRun.where(job_id: job_id).none?
    SpecRun.record(self, first ? "died" : "lived")
    DEATHS.fetch(death).call if first
  end
end
