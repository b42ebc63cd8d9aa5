# frozen_string_literal: true

module GoodJob
  module ActiveJobExtensions
    # Whether a job's enqueueing is announced to workers: by its class, by one job, or in `set(good_job_notify: …)`. The job wins.
    module NotifyOptions
      extend ActiveSupport::Concern

      # As {Labels::Set}.
      module Set
        def set(options = {})
          good_job_take_notify(options)
          super
        end
      end

      included do
        prepend Set if method_defined?(:set)
        class_attribute :good_job_notify, instance_accessor: false, instance_predicate: false, default: nil
        attr_accessor :good_job_notify
      end

      def enqueue(options = {})
        good_job_take_notify(options)
        super
      end

      def serialize
        good_job_notify.nil? ? super : super.merge("good_job_notify" => good_job_notify)
      end

      def deserialize(job_data)
        super
        self.good_job_notify = job_data["good_job_notify"]
      end

      private

      def good_job_take_notify(options)
        self.good_job_notify = options[:good_job_notify] if options.key?(:good_job_notify)
      end
    end
  end
end
