# frozen_string_literal: true

# Big and slow.
class ElephantJob < ApplicationJob
  queue_as :elephants

  def perform
    sleep rand(0.02..0.06)
  end
end
