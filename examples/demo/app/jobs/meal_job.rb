# frozen_string_literal: true

# Of the lions, who are served first, and the lambs.
class MealJob < ApplicationJob
  def perform(guest)
    note(guest)
  end
end
