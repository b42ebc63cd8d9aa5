# frozen_string_literal: true

# Small and quick.
class MouseJob < ApplicationJob
  queue_as :mice

  def perform
    sleep rand(0.001..0.003)
  end
end
