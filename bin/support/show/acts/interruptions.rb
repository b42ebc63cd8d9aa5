# frozen_string_literal: true

module Show
  module Acts
    # A run that is cut short is reported; the next one is told, and may retry.
    class Interruptions < Act
      def start
        await(@sleepwalker = SleepwalkerJob.perform_later)
      end

      def checks
        {
          "cut short, told so, and done" => notes(SleepwalkerJob) == ["walked", "woke up in its bed"] && attempts == ["interrupted", "retried", nil],
          "reported (on_thread_error), and nothing else was" => notes("on_thread_error") == ["SleepwalkerJob::Nightmare: a cliff"]
        }
      end

      private

      def attempts
        rows([@sleepwalker]).first.executions.order(:created_at).map(&:error_event)
      end
    end
  end
end
