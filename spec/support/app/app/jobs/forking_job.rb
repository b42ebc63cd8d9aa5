# frozen_string_literal: true

# Hands part of its work to a process of its own, which enqueues; says how that ended.
class ForkingJob < ActiveJob::Base
  CHILDREN = {
    "ends with its block" => ->(task) { fork { task.call } },
    "leaves by exit!" => ->(task) { fork { task.call && exit!(0) } },
    "is killed" => ->(task) { fork { task.call && Process.kill(:KILL, Process.pid) } },
    "executes another program" => ->(task) { fork { task.call && exec("true") } },
    "goes on with the job, and with what runs jobs" => ->(task) { fork || (task.call && nil) }
  }.freeze

  def perform(way)
    child = CHILDREN.fetch(way).call(-> { RecordJob.perform_later("enqueued by a child") })
    return unless child

    status = Process.wait2(child).last
    SpecRun.record(self, "child ended by #{status.signaled? ? status.termsig : status.exitstatus}")
  end
end
