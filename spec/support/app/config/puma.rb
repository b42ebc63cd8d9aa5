# frozen_string_literal: true

# As in an application that has never heard of GoodJob.
threads 2, 2
workers Integer(ENV.fetch("WEB_CONCURRENCY", 0))
preload_app! ENV.key?("PRELOAD")
fork_worker if ENV.key?("FORK_WORKER")
bind "tcp://127.0.0.1:0"
