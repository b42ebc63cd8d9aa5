# frozen_string_literal: true

# Capsules in the specs' own process, on the database of the example.
module Capsules
  # @param options [Hash] as in config.good_job. Nothing is polled, so that what runs was announced or was there before.
  def start_capsule(**options)
    capsule = new_capsule(**options)
    capsule.start
    capsule
  end

  def new_capsule(**options)
    configuration = GoodJob::Configuration.new({ poll_interval: -1, max_threads: 3, **options }, rails: {}, env: {}, rails_env: "production",
                                                                                                 cli: true)
    capsule = GoodJob::Capsule.new(configuration: configuration)
    capsules << capsule
    capsule
  end

  # Runs everything that is due, and stops.
  def run_jobs(**options)
    capsule = start_capsule(**options)
    wait_until("all jobs to be finished", limit_seconds: 30) { unfinished_jobs.none? }
    capsule.shutdown
  end

  def unfinished_jobs
    GoodJob::Job.where(finished_at: nil)
  end

  def capsules
    @capsules ||= []
  end
end
