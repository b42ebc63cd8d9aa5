# frozen_string_literal: true

# Calls what the clock said when it was wound up: enqueued by cron.
class CuckooJob < RingJob
  def perform(time, cry:)
    note("#{GoodJob::CurrentThread.job.cron_key}: #{cry} at #{time}")
  end
end
