# frozen_string_literal: true

require "active_support/concern"

module GoodJob
  module ActiveJobExtensions
    # Tells a job that its attempt before was cut short: raises {InterruptError} in place of `perform`, so that `retry_on` and
    # `discard_on` can decide. To be included before other extensions: whatever those raise first hides the interruption.
    module InterruptErrors
      extend ActiveSupport::Concern

      included do
        around_perform do |job, block|
          interrupted_at = Run.of(job)&.interrupted_at
          raise InterruptError, "Interrupted after starting perform at '#{interrupted_at}'" if interrupted_at

          block.call
        end
      end

      @known = {}

      class << self
        # Asked for each prefetched job, of which most have classes that were asked for before.
        # @param name [String] a job class's
        # @return [Boolean] whether its runs are to be on record before they start
        def included_in?(name)
          @known.fetch(name) { look_up(name) }
        end

        # The application's classes are loaded anew.
        def forget
          @known = {}
        end

        private

        # What cannot be loaded fails when it is run, and is the job's own failure then. It may be there the next time.
        def look_up(name)
          job_class = GoodJob.within_executor { name.to_s.safe_constantize }
          return false unless job_class.is_a?(Class)

          @known[name] = job_class.include?(self)
        rescue StandardError, ScriptError
          false
        end
      end
    end
  end
end
