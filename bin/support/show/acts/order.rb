# frozen_string_literal: true

module Show
  module Acts
    # A pool of one thread over the queues "+lions,lambs": all lions before all lambs, and each by priority. They are all there before it is.
    class Order < Act
      GUESTS = [["lambs", -5, "first lamb"], ["lions", 2, "last lion"], ["lambs", 0, "last lamb"], ["lions", 1, "first lion"]].freeze

      def prepare
        GUESTS.each { |queue, priority, name| await MealJob.set(queue: queue, priority: priority).perform_later(name) }
      end

      def checks
        { "queues in their order, then by priority" => notes(MealJob) == ["first lion", "last lion", "first lamb", "last lamb"] }
      end
    end
  end
end
