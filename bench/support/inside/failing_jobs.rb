# frozen_string_literal: true

require_relative "jobs"

module Bench
  module Inside
    class Failure < StandardError; end

    # Always fails, and nobody rescues it.
    class FailingJob < NoopJob
      def perform
        super
        raise Failure, "as always"
      end
    end

    # Fails once.
    class RetriedJob < NoopJob
      retry_on Failure, wait: 0, attempts: 2

      def perform
        super
        raise Failure, "the first time" if executions == 1
      end
    end
  end
end
