# frozen_string_literal: true

# Counts to three, and can be interrupted in between. After "one" it waits for its latch.
class CountingJob < ActiveJob::Base
  include GoodJob::ActiveJobExtensions::InterruptErrors

  NAMES = %w[zero one two three].freeze

  if defined?(ActiveJob::Continuable)
    include ActiveJob::Continuable

    self.resume_options = { wait: 0 }
  end

  def perform(latch)
    step(:prepare) { SpecRun.record(self, "prepared") }
    step(:count, start: 0) do |step|
      while (name = NAMES[step.cursor])
        SpecRun.record(self, name)
        Latch.new(latch).wait if name == "one"
        step.advance!
      end
    end
  end
end
