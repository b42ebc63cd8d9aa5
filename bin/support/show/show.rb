# frozen_string_literal: true

require_relative "../scratch_database"
require_relative "herd"
require_relative "progress"
require_relative "stage"
require_relative "steps"
require_relative "summary"
require_relative "verdict"

module Show
  # How much of it: seconds of a steady stream of jobs, then so many at once.
  Length = Struct.new(:stream_s, :stampede_jobs)
  SHORT = Length.new(6, 1_000)
  LONG = Length.new(20, 10_000)

  # From nothing to the summary.
  class Show
    # Longest that the jobs which are still there may take once no more are enqueued.
    FINISH_LIMIT_S = 60
    TICK_S = 0.02

    # @param length [Length]
    def initialize(length)
      @length = length
      @steps = Steps.new
    end

    # @return [Integer] the exit status
    def run
      status = nil
      ScratchDatabase.open("demo") { |database| status = Stage.open(database.url) { |stage| perform(stage) } }
      status
    rescue Stage::Failed => e
      warn "\nbin/demo: #{e.message}"
      1
    rescue SignalException => e
      puts "\nEnded by SIG#{Signal.signame(e.signo)}."
      128 + e.signo
    end

    private

    def perform(stage)
      @steps.run("database") { stage.migrate }
      @steps.run("processes") { stage.start }
      puts "\nThe application is at #{stage.url}; it runs jobs of #{Stage::WEB_QUEUES}, the worker #{Stage::WORKER_QUEUES}.\n\n"
      @herd = Herd.new
      @progress = Progress.new(@herd)
      interrupted = interruption { drive }
      exits = @steps.run("shutdown") { stage.stop }
      conclude(exits, interrupted)
    end

    # @return [SignalException, nil] what ended it early
    def interruption
      yield
      nil
    rescue SignalException => e
      e
    end

    def drive
      @stream_s = @steps.run("stream") { stream }
      @stampede_s = @steps.run("stampede") { stampede }
    end

    def stream
      seconds = timed do |elapsed_s|
        @herd.enqueue_until(elapsed_s)
        elapsed_s >= @length.stream_s
      end
      seconds + finish
    end

    def stampede
      started = now
      @herd.stampede(@length.stampede_jobs)
      finish
      now - started
    end

    def finish
      timed { |elapsed_s| @herd.finished? || elapsed_s > FINISH_LIMIT_S }
    end

    # Draws the progress until the block, given the seconds that have passed, says that it is over.
    # @return [Float] seconds
    def timed
      started = now
      loop do
        over = yield(now - started)
        @progress.draw(last: over)
        return now - started if over

        sleep TICK_S
      end
    end

    def conclude(exits, interrupted)
      verdict = Verdict.new(@herd, exits, complete: interrupted.nil?)
      Summary.new(@herd, verdict, exits, stampede_s: @stampede_s).print
      raise interrupted if interrupted

      verdict.faults.empty? ? 0 : 1
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
