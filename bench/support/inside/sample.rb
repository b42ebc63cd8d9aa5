# frozen_string_literal: true

module Bench
  module Inside
    # One job, for {ManyJobs} to copy.
    module Sample
      # @return [String] its id
      def self.enqueue(job:, arguments:)
        Inside.const_get(job, false).perform_later(*arguments).job_id
      end
    end
  end
end
