# frozen_string_literal: true

module Show
  module Acts
    # The application has given the model a scope: config/initializers/good_job.rb.
    class LoadHooks < Act
      def checks
        mice = GoodJob::Job.where(job_class: "MouseJob").count
        { "the model has the application's scope" => mice.positive? && GoodJob::Job.of_animal(:mouse).count == mice }
      end
    end
  end
end
