# frozen_string_literal: true

module Show
  module Acts
    # How many may wait, how many may run, how many may start in a time; by key, and by label.
    class Limits < Act
      # Of the fountain, in seconds: a start is on record a moment after it was granted.
      MOMENT_S = 0.2

      def prepare
        @tickets = Array.new(4) { TicketJob.perform_later }
        await @tickets.grep(TicketJob)
      end

      def start
        await Array.new(6) { BathJob.perform_later }
        await Array.new(4) { SwingJob.perform_later }
        await(@fountain = Array.new(5) { FountainJob.perform_later })
      end

      def checks
        {
          "two of four tickets" => @tickets.map { |ticket| ticket ? true : false } == [true, true, false, false],
          "two at once in the tub" => most_at_once(BathJob) <= 2,
          "one on the swing" => most_at_once(SwingJob) == 1,
          "two a second at the fountain" => starts.each_cons(3).all? { |first, _second, third| third - first > 1 - MOMENT_S },
          "nobody was turned away with an error" => succeeded(@jobs)
        }
      end

      private

      def starts
        GoodJob::Execution.where(active_job_id: @fountain.map(&:job_id)).order(:created_at).pluck(:created_at)
      end
    end
  end
end
