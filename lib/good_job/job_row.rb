# frozen_string_literal: true

require "active_support/json"

module GoodJob
  # What an Active Job becomes in the table good_jobs. All values are Ruby's own; times are Times.
  class JobRow
    DEFAULT_QUEUE_NAME = "default"
    DEFAULT_PRIORITY = 0
    # What an index on labels takes.
    LABEL_BYTES_MAX = 2_600

    # Where a job comes from, beside the application's own code: a cron entry, a batch, a batch's callback.
    Origin = Struct.new(:cron_key, :cron_at, :batch_id, :batch_callback_id, keyword_init: true) do
      class << self
        # @return [Origin] of jobs that this thread enqueues
        def current
          origins = Thread.current[:good_job_origins]
          origins.is_a?(Origin) ? origins : NOWHERE
        end

        # @return [Origin, Hash{String => Origin}, nil] what {.within} was given
        def any
          Thread.current[:good_job_origins]
        end

        # @return [Origin] of this job, which this thread enqueues
        def of(job)
          origins = Thread.current[:good_job_origins]
          return NOWHERE unless origins

          origins.is_a?(Origin) ? origins : origins.fetch(job.job_id, NOWHERE)
        end

        # @param origins [Origin, Hash{String => Origin}, nil] of all jobs that the block enqueues, or by job_id
        def within(origins)
          outer = Thread.current[:good_job_origins]
          Thread.current[:good_job_origins] = origins
          yield
        ensure
          Thread.current[:good_job_origins] = outer
        end

        # @param changes [Hash{Symbol => Object}] of the current one, from now on
        def change(changes)
          origin = new(**current.to_h, **changes)
          Thread.current[:good_job_origins] = origin == NOWHERE ? nil : origin.freeze
        end
      end
    end
    NOWHERE = Origin.new.freeze

    attr_reader :id, :queue_name, :priority, :serialized_params, :job_class, :concurrency_key, :labels, :origin
    # @return [Time, nil] nil: at once
    attr_reader :scheduled_at

    # @param job [ActiveJob::Base]
    # @param scheduled_at [Time, Numeric, nil] overrides the job's own; seconds since the Unix epoch, or a Time
    # @param origin [Origin]
    def initialize(job, scheduled_at: nil, origin: Origin.of(job))
      @id = job.job_id
      @job_class = job.class.name
      @queue_name = job.queue_name.presence || DEFAULT_QUEUE_NAME
      @priority = job.priority || DEFAULT_PRIORITY
      @serialized_params = json(job.serialize)
      @scheduled_at = time(scheduled_at || job.scheduled_at)
      @concurrency_key = job.good_job_concurrency_key if job.respond_to?(:good_job_concurrency_key)
      @labels = label_list(job.good_job_labels) if job.respond_to?(:good_job_labels)
      @silent = silent?(job)
      @origin = origin
    end

    alias active_job_id id

    # @return [Boolean] whether the job is to be run now rather than later
    def due?(now)
      scheduled_at.nil? || scheduled_at <= now
    end

    # @return [Boolean] whether the job class asked not to announce its jobs
    def announce?
      !@silent
    end

    private

    # Active Support encodes anything, and takes 16 times as long as JSON does for the plain values that Active Job serializes to.
    def json(params)
      plain?(params) ? JSON.generate(params) : ActiveSupport::JSON.encode(params)
    rescue JSON::NestingError
      ActiveSupport::JSON.encode(params)
    end

    def plain?(value)
      case value
      when String, Integer, nil, true, false then true
      when Float then value.finite?
      when Hash then value.each_value.all? { |element| plain?(element) }
      when Array then value.all? { |element| plain?(element) }
      else false
      end
    end

    # Times cross in whole microseconds; a Float of seconds has them only after rounding.
    def time(value)
      value.is_a?(Numeric) ? Time.at(value).utc.round(6) : value
    end

    def label_list(labels)
      Array(labels).map { |label| label.to_s.strip }.reject(&:empty?).uniq.each { |label| expect_storable(label) }.presence
    end

    def expect_storable(label)
      return if label.bytesize <= LABEL_BYTES_MAX

      raise ArgumentError, "GoodJob: a label of #{label.bytesize} bytes (#{label[0, 20].inspect}…) is too long; the limit is #{LABEL_BYTES_MAX}."
    end

    def silent?(job)
      return false unless job.respond_to?(:good_job_notify)

      job.good_job_notify == false || (job.good_job_notify.nil? && job.class.good_job_notify == false)
    end
  end
end
