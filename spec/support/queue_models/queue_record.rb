# frozen_string_literal: true

# The models of an application's second database, where its queue is.
class QueueRecord < ActiveRecord::Base
  self.abstract_class = true
  connects_to database: { writing: :queue, reading: :queue }
end
