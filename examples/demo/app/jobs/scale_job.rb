# frozen_string_literal: true

# Reads what a note says when it is weighed, not when that was asked for.
class ScaleJob < RingJob
  def perform(animal)
    note(animal.text)
  end
end
