# frozen_string_literal: true

# Runs away the first time, and comes back.
class TimidMouseJob < ApplicationJob
  class Startled < StandardError; end

  queue_as :mice
  retry_on Startled, wait: 1, attempts: 2

  def perform
    raise Startled, "a cat" if executions == 1
  end
end
