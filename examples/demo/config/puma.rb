# frozen_string_literal: true

# Nothing here is about jobs, neither in single mode nor in cluster mode (WEB_CONCURRENCY=2).
threads 3, 3
workers Integer(ENV.fetch("WEB_CONCURRENCY", 0))
preload_app! if ENV.key?("WEB_CONCURRENCY")
port ENV.fetch("PORT", 3000)
