# frozen_string_literal: true

# An application that ends its own worker.
class ShutdownJob < ActiveJob::Base
  def perform
    GoodJob.shutdown(timeout: nil)
  end
end
