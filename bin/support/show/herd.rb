# frozen_string_literal: true

module Show
  # The jobs: what is enqueued, and how far it is.
  class Herd
    JOBS_PER_SECOND = 140

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

    # @return [Hash{String => Integer}] how many of each kind were enqueued
    attr_reader :counts
    # @return [Time, nil] when the stampede began
    attr_reader :stampede_at

    def initialize
      @counts = Hash.new(0)
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

    # @param jobs [Integer]
    def stampede(jobs)
      @stampede_at = Time.current
      Array.new(jobs) { MouseJob.new }.each_slice(SLICE) do |slice|
        ActiveJob::Base.queue_adapter.enqueue_all(slice)
        @counts[STAMPEDE] += slice.size
      end
    end

    def finished?
      progress.values.all? { |enqueued, finished| enqueued == finished }
    end

    # @return [Hash{String => Array(Integer, Integer)}] by queue: how many were enqueued, how many have ended
    def progress
      GoodJob::Job.group(:queue_name).order(:queue_name).pluck(:queue_name, Arel.sql("count(*)"), Arel.sql("count(finished_at)"))
                  .to_h { |queue, enqueued, finished| [queue, [enqueued, finished]] }
    end
  end
end
