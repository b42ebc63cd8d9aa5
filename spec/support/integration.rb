# frozen_string_literal: true

require "active_support/testing/time_helpers"
require "good_job"
require_relative "database"
require_relative "capsules"
require_relative "latch"
require_relative "spec_app"
require_relative "gc_stress" if ENV["GC_STRESS"]
Dir[File.join(__dir__, "app/app/{models,jobs}/*.rb")].each { |file| require file }

# What the specs that run whole processes have in common: jobs that leave a trace, and a GoodJob whose settings every example finds as
# they are at first. `:integration` goes with `:database`.
module Integration
  QUIET = Logger.new(nil)
  SETTINGS = %i[preserve_job_records retry_on_unhandled_error on_thread_error handled_exceptions].freeze

  # @return [GoodJob::Job] the row of a job
  def row(job)
    GoodJob::Job.find(job.job_id)
  end

  # @return [Array<GoodJob::Execution>] of a job, in order
  def executions(job)
    GoodJob::Execution.where(active_job_id: job.job_id).order(:created_at).to_a
  end

  # @return [Array<String>] what a job said, or all of them, in order
  def events(job = nil)
    (job ? SpecRun.where(job_id: job.job_id) : SpecRun).order(:id).pluck(:event)
  end

  def wait_for_event(job, *expected, limit_seconds: 30)
    wait_until("#{job.class} #{job.job_id} to say #{expected.join(", ")}", limit_seconds: limit_seconds) { events(job) == expected }
  end

  def wait_until_finished(*jobs, limit_seconds: 30)
    wait_until("#{jobs.size} jobs to be finished", limit_seconds: limit_seconds) do
      GoodJob::Job.where(id: jobs.map(&:job_id), finished_at: nil).none?
    end
  end

  # @return [Latch] that goes with the example
  def latch
    @latch ||= Latch.create
  end

  def use_adapter(execution_mode)
    ActiveJob::Base.queue_adapter = GoodJob::Adapter.new(execution_mode: execution_mode)
  end

  # @return [Array<String>] the application's own statements during the block
  def statements(&block)
    seen = []
    collect = ->(*, payload) { seen << payload[:sql] unless payload[:name] == "SCHEMA" }
    ActiveSupport::Notifications.subscribed(collect, "sql.active_record", &block)
    seen
  end
end

RSpec.configure do |config|
  config.include Integration, :integration
  config.include Capsules, :integration
  config.include ActiveSupport::Testing::TimeHelpers, :integration

  config.before(:each, :integration) do
    ActiveRecord::Base.connection.execute("#{SpecRun::TABLE}; TRUNCATE spec_runs")
    @settings = Integration::SETTINGS.to_h { |name| [name, GoodJob.public_send(name)] }
    GoodJob.logger = ActiveJob::Base.logger = Integration::QUIET
    use_adapter(:external)
  end

  config.after(:each, :integration) do
    @latch&.open
    capsules.each { |capsule| capsule.shutdown(timeout: 10) }
    GoodJob::Capsule.instances.reject! { |capsule| capsules.include?(capsule) }
    @latch&.remove
    travel_back
    @settings.each { |name, value| GoodJob.public_send(:"#{name}=", value) }
    GoodJob.logger = GoodJob::DEFAULT_LOGGER
  end
end
