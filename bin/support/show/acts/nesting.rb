# frozen_string_literal: true

module Show
  module Acts
    # Jobs enqueue jobs, which enqueue jobs.
    class Nesting < Act
      GENERATIONS = 3
      EGGS = (2**(GENERATIONS + 1)) - 1

      def start
        EggJob.perform_later(GENERATIONS)
      end

      def finished?
        jobs.finished.count >= EGGS
      end

      def checks
        { "#{EGGS} eggs of one" => jobs.succeeded.count == EGGS && jobs.count == EGGS }
      end

      private

      def jobs
        GoodJob::Job.job_class("EggJob")
      end
    end
  end
end
