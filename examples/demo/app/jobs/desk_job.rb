# frozen_string_literal: true

# Of a queue that no pool takes from.
class DeskJob < ApplicationJob
  queue_as :desk

  def perform; end
end
