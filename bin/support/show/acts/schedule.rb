# frozen_string_literal: true

module Show
  module Acts
    # Of the herd, some are due later.
    class Schedule < Act
      def checks
        jobs = Herd.jobs.where("good_jobs.scheduled_at > good_jobs.created_at").where(executions_count: 1)
        early = jobs.joins("JOIN demo_runs ON demo_runs.job_id = good_jobs.id").where("demo_runs.created_at < good_jobs.scheduled_at")
        { "scheduled jobs ran, none too early" => jobs.finished.exists? && early.none? }
      end
    end
  end
end
