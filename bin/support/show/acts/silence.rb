# frozen_string_literal: true

require_relative "../../../../spec/support/listener"

module Show
  module Acts
    # A class whose jobs are not announced (NotifyOptions), and one of its jobs that is.
    class Silence < Act
      def start
        @silent = heard { await OwlJob.perform_later }
        @loud = heard { await OwlJob.set(good_job_notify: true).perform_later }
      end

      def checks
        {
          "no announcement, unless a job asks for it" => [@silent, @loud] == [0, 1],
          "found by polling" => succeeded(@jobs)
        }
      end

      private

      def heard(&block)
        Listener.during(@stage.database_url, &block).count { |payload| payload["queue_name"] == "nights" }
      end
    end
  end
end
