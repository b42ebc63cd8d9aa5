# frozen_string_literal: true

module Show
  module Acts
    # Stored without blanks around them, each once.
    class Labels < Act
      def start
        await(@labeled = DormouseJob.set(good_job_labels: ["small ", "grey", "grey"]).perform_later)
      end

      def checks
        { "kept, and found by" => GoodJob::Job.labeled("grey").pluck(:id, :labels) == [[@labeled.job_id, %w[small grey]]] }
      end
    end
  end
end
