# frozen_string_literal: true

# Comes without a sound: workers find it when they look.
class OwlJob < ApplicationJob
  include GoodJob::ActiveJobExtensions::NotifyOptions

  queue_as :nights
  self.good_job_notify = false

  def perform; end
end
