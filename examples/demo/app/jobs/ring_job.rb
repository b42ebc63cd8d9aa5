# frozen_string_literal: true

# What appears in the ring beside the herd: each of these shows one thing that the queue can do.
class RingJob < ApplicationJob
  queue_as :ring
end
