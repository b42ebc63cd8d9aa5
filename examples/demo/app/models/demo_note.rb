# frozen_string_literal: true

# What a job of the ring, or something else behind the scenes, has seen. `id` tells the order.
class DemoNote < ActiveRecord::Base
  # @param subject [String, Class]
  # @return [Array<String>]
  def self.of(subject)
    where(subject: subject.to_s).order(:id).pluck(:text)
  end
end
