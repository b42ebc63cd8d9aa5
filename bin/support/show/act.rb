# frozen_string_literal: true

module Show
  # One thing that the queue can do, shown by a few jobs beside the herd, and whether it did what it should.
  class Act
    # @return [String]
    def self.title
      name[/\w+\z/].gsub(/(?<=[a-z])(?=[A-Z])/, " ").capitalize
    end

    # @param stage [Stage]
    def initialize(stage)
      @stage = stage
      @jobs = []
    end

    # What has to be there before any process runs jobs.
    def prepare; end

    # What is done once they do.
    def start; end

    # What is done later, if it is time: asked again and again, until everything is finished.
    def go_on; end

    # @return [Boolean] whether there is nothing more to wait for
    def finished?
      finished(@jobs)
    end

    # @return [Hash{String => Boolean}] what should be so, and whether it is; asked once, when all processes have ended
    def checks
      raise NotImplementedError
    end

    private

    # @param jobs [Array<ActiveJob::Base>] to be waited for
    def await(*jobs)
      @jobs.concat(jobs.flatten)
    end

    def finished(jobs)
      rows(jobs).finished.count == jobs.size
    end

    def succeeded(jobs)
      rows(jobs).succeeded.count == jobs.size
    end

    def rows(jobs)
      GoodJob::Job.where(id: jobs.map(&:job_id))
    end

    # @return [Array<String>]
    def notes(subject)
      DemoNote.of(subject)
    end

    # @return [Integer] how many of these jobs were between their notes "in" and "out" at once
    def most_at_once(subject)
      inside = 0
      notes(subject).map { |text| inside += text == "in" ? 1 : -1 }.max
    end
  end
end
