# frozen_string_literal: true

module Show
  # The jobs: what is enqueued, and how far it is.
  class Herd
    JOBS_PER_SECOND = 140
    QUEUES = %w[mice elephants].freeze

    KINDS = {
      "now" => -> { MouseJob.perform_later },
      "now, slow" => -> { ElephantJob.perform_later },
      "scheduled" => -> { [MouseJob, ElephantJob].sample.set(wait: rand(0.5..2.0)).perform_later },
      "retried once" => -> { TimidMouseJob.perform_later },
      "failing" => -> { StubbornElephantJob.perform_later }
    }.freeze
    # How many of each there are in every 35.
    MIXTURE = { "now" => 24, "now, slow" => 4, "scheduled" => 4, "retried once" => 2, "failing" => 1 }.freeze
    STAMPEDE = "all at once"
    SLICE = 500

    # @return [ActiveRecord::Relation<GoodJob::Job>]
    def self.jobs
      GoodJob::Job.where(queue_name: QUEUES)
    end

    # @return [Hash{String => Integer}] how many of each kind were enqueued
    attr_reader :counts
    # @return [Time, nil] when the stampede began
    attr_reader :stampede_at
    # @return [Hash{String => Array(Integer, Integer)}] by queue: how many were enqueued, and how many had ended at the last look
    attr_reader :progress

    def initialize
      @counts = [*KINDS.keys, STAMPEDE].to_h { |kind| [kind, 0] }
      @progress = {}
      @turns = MIXTURE.flat_map { |kind, count| [kind] * count }.shuffle.cycle
    end

    def size
      @counts.values.sum
    end

    # Enqueues what is due after so many seconds of a steady stream.
    def enqueue_until(elapsed_s)
      while size < elapsed_s * JOBS_PER_SECOND
        kind = @turns.next
        KINDS.fetch(kind).call
        @counts[kind] += 1
      end
    end

    # Enqueues some more of so many jobs that come all at once.
    # @return [Boolean] whether these are all
    def stampede(jobs)
      @stampede_at ||= Time.current
      slice = Array.new([jobs - @counts[STAMPEDE], SLICE].min) { MouseJob.new }
      ActiveJob::Base.queue_adapter.enqueue_all(slice)
      (@counts[STAMPEDE] += slice.size) == jobs
    end

    # Takes a look at {#progress}.
    def look
      counts = Herd.jobs.group(:queue_name).order(:queue_name).pluck(:queue_name, Arel.sql("count(*)"), Arel.sql("count(finished_at)"))
      @progress = counts.to_h { |queue, *numbers| [queue, numbers] }
    end

    # @return [Boolean] whether everything was, at the last look
    def finished?
      progress.values.all? { |enqueued, finished| enqueued == finished } && progress.values.sum(&:first) == size
    end
  end
end
