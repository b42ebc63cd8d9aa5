# frozen_string_literal: true

module GoodJob
  module ActiveJobExtensions
    # Labels of jobs: of the class, of one job, or in `set(good_job_labels: …)`. They are in a column of their own, not in the payload.
    module Labels
      extend ActiveSupport::Concern

      # Rails before 7.0 has no such method on jobs; there, `enqueue` takes the options of `set`.
      module Set
        def set(options = {})
          good_job_take_labels(options)
          super
        end
      end

      included do
        prepend Set if method_defined?(:set)
        class_attribute :good_job_labels, instance_accessor: false, instance_predicate: false, default: []
        attr_writer :good_job_labels
      end

      # @return [Array] the job's own copy of its class's
      def good_job_labels
        @good_job_labels ||= Array(self.class.good_job_labels).dup
      end

      def enqueue(options = {})
        good_job_take_labels(options)
        super
      end

      def deserialize(job_data)
        super
        self.good_job_labels = job_data["good_job_labels"].dup if job_data.key?("good_job_labels")
      end

      private

      def good_job_take_labels(options)
        self.good_job_labels = options[:good_job_labels] if options.key?(:good_job_labels)
      end
    end
  end
end
