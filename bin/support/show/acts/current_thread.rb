# frozen_string_literal: true

module Show
  module Acts
    # What a job may want to know of itself.
    class CurrentThread < Act
      def start
        await MirrorJob.perform_later
      end

      def checks
        { "a job knows itself and its process" => notes(MirrorJob) == ["itself", "its process"] }
      end
    end
  end
end
