# frozen_string_literal: true

# Walks in a parade, which is a batch. The drummer calls two more into it; a clown falls.
class ParadeJob < RingJob
  include GoodJob::ActiveJobExtensions::Batches

  class Fell < StandardError; end

  discard_on Fell

  def perform(who)
    batch.add { 2.times { ParadeJob.perform_later("follower") } } if who == "drummer"
    raise Fell if who == "clown"
  end
end
