# frozen_string_literal: true

# Comes in numbers.
class AntJob < RingJob
  def perform(number)
    note(number.to_s)
  end
end
