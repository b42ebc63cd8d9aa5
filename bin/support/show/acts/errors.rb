# frozen_string_literal: true

module Show
  module Acts
    # What Active Job does with errors, and what is on record of it.
    class Errors < Act
      EVENTS = { "Slipped" => ["retried", nil], "Fell" => ["discarded"], "Bruised" => ["handled"] }.freeze

      def start
        @accidents = EVENTS.keys.to_h { |accident| [accident, ClumsyJob.perform_later(accident)] }
        await @accidents.values
      end

      def checks
        {
          "retried, discarded, rescued as the class says" => EVENTS.all? { |accident, events| events_of(accident) == events },
          "rescued by the job itself" => notes(ClumsyJob) == ["nursed: the third step"]
        }
      end

      private

      def events_of(accident)
        rows([@accidents.fetch(accident)]).first.executions.order(:created_at).map(&:error_event)
      end
    end
  end
end
