# frozen_string_literal: true

# As in an application that has never heard of GoodJob, unless told otherwise.
threads 2, 2
workers Integer(ENV.fetch("WEB_CONCURRENCY", 0))
preload_app! ENV.key?("PRELOAD")
fork_worker if ENV.key?("FORK_WORKER")
bind "tcp://127.0.0.1:0"

# As in an application that was set up for GoodJob. Puma has given the hooks of workers other names meanwhile.
if ENV.key?("GOOD_JOB_HOOKS")
  before_fork { GoodJob.shutdown }
  public_send(respond_to?(:before_worker_boot) ? :before_worker_boot : :on_worker_boot) { GoodJob.restart }
  public_send(respond_to?(:before_worker_shutdown) ? :before_worker_shutdown : :on_worker_shutdown) { GoodJob.shutdown }
  master = Process.pid
  at_exit { GoodJob.shutdown if Process.pid == master }
end
