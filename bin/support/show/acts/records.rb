# frozen_string_literal: true

module Show
  module Acts
    # A record is an argument by its GlobalID.
    class Records < Act
      def prepare
        animal = DemoNote.create!(subject: "animal", text: "thin")
        await ScaleJob.perform_later(animal)
        animal.update!(text: "fat")
      end

      def checks
        { "read when the job runs" => notes(ScaleJob) == ["fat"] }
      end
    end
  end
end
