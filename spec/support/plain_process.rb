# frozen_string_literal: true

# A process of a user without Rails: the gem on Active Record, with the jobs of the specs' application.
$stdout.sync = true
require "good_job_rs"
require_relative "gc_stress" if ENV["GC_STRESS"]
require_relative "latch"
require_relative "wait_until"
Dir[File.join(__dir__, "app/app/{models,jobs}/*.rb")].each { |file| require file }

include WaitUntil # rubocop:disable Style/MixinUsage -- for scripts

ActiveRecord::Base.establish_connection(ENV.fetch("DATABASE_URL"))
ActiveJob::Base.logger = Logger.new(nil)
ActiveJob::Base.queue_adapter = GoodJob::Adapter.new(execution_mode: :external)
GoodJob.logger = Logger.new($stdout, level: :warn)
