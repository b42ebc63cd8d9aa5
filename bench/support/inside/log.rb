# frozen_string_literal: true

module Bench
  module Inside
    # The application's log.
    module Log
      # What is logged is put into words as before, and goes nowhere: tens of thousands of errors belong on nobody's screen.
      def self.discard
        ActiveJob::Base.logger.reopen(File::NULL)
        nil
      end
    end
  end
end
