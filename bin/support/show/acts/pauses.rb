# frozen_string_literal: true

module Show
  module Acts
    # A queue, a class and a label are paused before anything runs, and let go when others have run.
    class Pauses < Act
      PAUSED = [{ queue: "caves" }, { job_class: "BearJob" }, { label: "asleep" }].freeze

      def prepare
        PAUSED.each { |what| GoodJob.pause(**what) }
        @held = [DormouseJob.set(queue: "caves"), BearJob, DormouseJob.set(good_job_labels: ["asleep"])].map(&:perform_later)
        @others = Array.new(2) { DormouseJob.perform_later }
        await @held, @others
      end

      def go_on
        return if @let_go || !finished(@others)

        @early = GoodJob::Job.where(id: @held.map(&:job_id)).where.not(performed_at: nil).count
        PAUSED.each { |what| GoodJob.unpause(**what) }
        @let_go = true
      end

      def checks
        {
          "queue, class and label held back" => @early.eql?(0),
          "and let go" => succeeded(@held) && !GoodJob.paused?
        }
      end
    end
  end
end
