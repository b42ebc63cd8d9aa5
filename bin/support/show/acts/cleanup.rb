# frozen_string_literal: true

module Show
  module Acts
    # Takes away what has succeeded. Comes last: the others look at what has.
    class Cleanup < Act
      def checks
        left = GoodJob::Job.count - GoodJob::Job.succeeded.count
        deleted = GoodJob.cleanup_preserved_jobs(older_than: 0, include_discarded: false)
        {
          "deleted what had succeeded" => deleted.positive? && GoodJob::Job.succeeded.none?,
          "and nothing else" => GoodJob::Job.count == left && GoodJob::Job.discarded.exists?
        }
      end
    end
  end
end
