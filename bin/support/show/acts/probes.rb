# frozen_string_literal: true

module Show
  module Acts
    # The worker answers whoever asks how it is.
    class Probes < Act
      PATHS = %w[/status /status/started /status/connected].freeze

      def start
        @answers = PATHS.map { |path| @stage.probe(path) }
      end

      def checks
        { "alive, started and connected" => @answers == %w[200 200 200] }
      end
    end
  end
end
