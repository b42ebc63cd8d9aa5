# frozen_string_literal: true

module Show
  module Acts
    # Action Mailer enqueues its own job.
    class Mail < Act
      def start
        ZooMailer.news("you@example.com").deliver_later(queue: "ring")
      end

      def finished?
        jobs.finished.exists?
      end

      def checks
        { "delivered later, once" => jobs.succeeded.count == 1 && notes("ZooMailer") == ["A calf to you@example.com"] }
      end

      private

      def jobs
        GoodJob::Job.where("job_class LIKE 'ActionMailer::%'")
      end
    end
  end
end
