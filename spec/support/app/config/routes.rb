# frozen_string_literal: true

Rails.application.routes.draw do
  get "/in_webserver", to: ->(_env) { [200, { "content-type" => "text/plain" }, [GoodJob.configuration.in_webserver?.to_s]] }
  get "/pid", to: ->(_env) { [200, { "content-type" => "text/plain" }, [Process.pid.to_s]] }
  post "/jobs", to: ->(_env) { [201, { "content-type" => "text/plain" }, [RecordJob.perform_later.job_id]] }
end
