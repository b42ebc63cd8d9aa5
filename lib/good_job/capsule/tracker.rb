# frozen_string_literal: true

module GoodJob
  class Capsule
    # Who this process is to others: its row in good_job_processes, which the runtime keeps as long as it claims jobs.
    class Tracker
      # @param capsule [Capsule]
      def initialize(capsule)
        @capsule = capsule
      end

      # @return [String] uuid under which the runtime holds jobs; another in a forked process
      def process_id
        @capsule.process_id
      end

      # @return [String] uuid under which this process may hold jobs that it claims by itself, as with {Job.perform_with_lock}. Never the
      #   runtime's, which gives back what it did not claim.
      def id_for_lock
        Inline.process_id
      end

      # @return [Process, nil] the row; nil: nothing is claimed here, or not yet
      def record
        Process.find_by(id: process_id)
      end
    end
  end
end
