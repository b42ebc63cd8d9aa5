# frozen_string_literal: true

# Hatches, and lays two.
class EggJob < RingJob
  def perform(generations)
    2.times { EggJob.perform_later(generations - 1) } if generations.positive?
  end
end
