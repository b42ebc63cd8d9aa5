# frozen_string_literal: true

# Looks at itself.
class MirrorJob < RingJob
  def perform
    current = GoodJob::CurrentThread
    note("itself") if [current.active_job_id, current.job.id] == [job_id, job_id]
    note("its process") if current.process_id == Process.pid && GoodJob.current_thread_running?
  end
end
