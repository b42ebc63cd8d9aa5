# frozen_string_literal: true

module Show
  module Acts
    # This process runs jobs itself, when asked to.
    class Inline < Act
      def start
        await(@job = DeskJob.perform_later)
        @count = GoodJob.perform_inline("desk")
      end

      def checks
        { "perform_inline ran its job here" => @count == 1 && DemoRun.where(job_id: @job.job_id).pluck(:process) == [DemoRun.process] }
      end
    end
  end
end
