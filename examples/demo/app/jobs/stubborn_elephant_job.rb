# frozen_string_literal: true

# Never does what it is told.
class StubbornElephantJob < ApplicationJob
  queue_as :elephants

  def perform
    raise "No."
  end
end
