# frozen_string_literal: true

require "logger"
require "rails"
require "active_record/railtie"
require "active_job/railtie"
require "action_controller/railtie"
require "good_job_rs"

# A web application as in production, which runs its jobs in the web server's process.
class WebApplication < Rails::Application
  config.load_defaults Rails::VERSION::STRING.to_f
  config.root = __dir__
  config.eager_load = true
  config.cache_classes = true
  config.logger = Logger.new($stderr)
  config.log_level = :warn
  config.secret_key_base = "measured"
  config.active_job.queue_adapter = :good_job
  config.good_job.execution_mode = :async
end

WebApplication.initialize!

Dir[File.expand_path("../inside/*_job{,s}.rb", __dir__)].each { |file| require file }
require_relative "../inside/jobs"

class PagesController < ActionController::Base
  # A page as small as can be that asks the database something.
  def show
    render plain: ActiveRecord::Base.connection.select_value("SELECT count(*) FROM good_job_settings").to_s
  end

  # Which jobs ran here, by their own list.
  def runs
    runs = Bench::Inside::NoopJob::RUNS
    render json: { runs: runs.size, jobs: runs.uniq.size }
  end
end

WebApplication.routes.draw do
  root to: "pages#show"
  get "runs", to: "pages#runs"
end
