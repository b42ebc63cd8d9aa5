# frozen_string_literal: true

# What bin/console loads.
require "good_job_rs"
require_relative "postgres"

database = "good_job_rs_console"
Postgres.create(database) unless Postgres.databases.include?(database)
ActiveRecord::Base.establish_connection(Postgres.url(database))
ActiveJob::Base.queue_adapter = :good_job
