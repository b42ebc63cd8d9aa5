# frozen_string_literal: true

# Cannot be interrupted, like one that waits in a library in C, and ends when its latch is opened.
class StubbornJob < ActiveJob::Base
  def perform(latch)
    Thread.handle_interrupt(Object => :never) do
      SpecRun.record(self, "started")
      Latch.new(latch).wait
    end
  end
end
