# frozen_string_literal: true

require_relative "../scratch_database"
require_relative "cast"
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
    LOOK_INTERVAL_S = 0.1
    SIGNALS = %w[INT TERM HUP].freeze

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
      128 + e.signo
    end

    private

    def perform(stage)
      @steps.run("database") { stage.migrate }
      stage.load_application
      @cast = Cast.new(stage)
      @cast.prepare
      @steps.run("processes") { stage.start }
      puts "\nThe application is at #{stage.url}; it runs jobs of #{Stage::WEB_QUEUES}, the worker of #{Stage::WORKER_QUEUES}.\n\n"
      @herd = Herd.new
      @progress = Progress.new(@herd)
      obeying_signals { drive }
      exits = @steps.run("shutdown") { stage.stop }
      conclude(exits)
    end

    # A signal ends the show between two enqueues, not within one, so that the numbers are right. The next one is not waited for.
    def obeying_signals
      SIGNALS.each { |signal| trap(signal) { @ended_by ||= signal } }
      yield
    ensure
      SIGNALS.each { |signal| trap(signal, "DEFAULT") }
    end

    def drive
      @steps.run("stream") { stream }
      seconds = @steps.run("stampede") { stampede } unless @ended_by
      @stampede_s = seconds unless @ended_by
    end

    def stream
      @cast.start
      show do |elapsed_s|
        @herd.enqueue_until([elapsed_s, @length.stream_s].min)
        elapsed_s >= @length.stream_s
      end
    end

    def stampede
      show { @herd.stampede(@length.stampede_jobs) }
    end

    # Draws the progress until all is enqueued, as the block tells, and finished.
    # @yieldparam elapsed_s [Float]
    # @return [Float] seconds
    def show
      started = now
      deadline = nil
      until @ended_by
        deadline ||= now + FINISH_LIMIT_S if yield(now - started)
        break if look && deadline && (finished? || now > deadline)

        sleep TICK_S
      end
      @progress.leave
      now - started
    end

    # @return [Boolean] whether it was time to look
    def look
      return false if @looked_at && now - @looked_at < LOOK_INTERVAL_S

      @herd.look
      @cast.go_on
      @progress.draw
      @looked_at = now
      true
    end

    def finished?
      @herd.finished? && @cast.finished?
    end

    # Of a show that was cut short, what the acts should have come to cannot be said.
    def conclude(exits)
      verdict = Verdict.new(@herd, exits, complete: @ended_by.nil?)
      summary = Summary.new(@herd, verdict, exits, stampede_s: @stampede_s)
      summary.print
      return 128 + Signal.list.fetch(@ended_by) if @ended_by

      summary.print_acts(@cast.checks)
      [*verdict.faults, *@cast.faults].empty? ? 0 : 1
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
