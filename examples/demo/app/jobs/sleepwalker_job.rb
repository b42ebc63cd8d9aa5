# frozen_string_literal: true

# Is cut short at its first attempt, as by the end of its process; is told so at its second; walks on at its third.
class SleepwalkerJob < RingJob
  include GoodJob::ActiveJobExtensions::InterruptErrors

  class Nightmare < Exception; end # rubocop:disable Lint/InheritException -- what no job may handle

  retry_on(GoodJob::InterruptError, wait: 0, attempts: 3)

  def perform
    first = DemoNote.where(job_id: job_id).none?
    note(first ? "walked" : "woke up in its bed")
    raise Nightmare, "a cliff" if first
  end
end
