# frozen_string_literal: true

# Web and worker both have cron enabled; each time of an entry is enqueued once.
Rails.application.config.good_job.cron = {
  cuckoo: {
    cron: "*/2 * * * * *", # every other second
    class: "CuckooJob",
    args: -> { [Time.now.utc.strftime("%H:%M:%S")] },
    kwargs: { cry: "cuckoo" },
    set: { priority: -1 },
    description: "Calls the time"
  },
  sloth: { cron: "* * * * * *", class: "CuckooJob", args: ["any time"], kwargs: { cry: "…" }, enabled_by_default: false }
}

# The gem's models are the application's to extend, whenever they are loaded.
ActiveSupport.on_load(:good_job_job) do
  scope :of_animal, ->(name) { where(job_class: "#{name.to_s.camelize}Job") }
end
