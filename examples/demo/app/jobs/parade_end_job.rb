# frozen_string_literal: true

# A parade's callback.
class ParadeEndJob < RingJob
  def perform(batch, context)
    note("#{batch.properties[:name]}: #{context[:event]}")
  end
end
