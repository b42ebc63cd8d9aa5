# frozen_string_literal: true

module Show
  module Acts
    # Many jobs, enqueued together.
    class Bulk < Act
      ANTS = 50

      def start
        inserts = 0
        count = ->(*, payload) { inserts += 1 if payload[:sql].match?(/\A(?:WITH .*)?\bINSERT INTO\b/mi) }
        ActiveSupport::Notifications.subscribed(count, "sql.active_record") do
          await(GoodJob::Bulk.enqueue { ANTS.times { |number| AntJob.perform_later(number) } })
        end
        @inserts = inserts
      end

      def checks
        {
          "#{ANTS} jobs by one statement" => @inserts == 1,
          "all ran, once" => notes(AntJob).map(&:to_i).sort == Array(0...ANTS)
        }
      end
    end
  end
end
