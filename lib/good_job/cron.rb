# frozen_string_literal: true

module GoodJob
  # Enqueues the jobs of the cron entries when they are due, on one thread of its own. Every process that has cron enabled does; that each
  # time is enqueued once is the database's to see to.
  class Cron
    # Longest wait between two looks at the clock, which may be set meanwhile.
    WAIT_MAX_S = 30
    # How long a time that could not be enqueued (no database) is tried again, after how many seconds, and how many such times.
    RETRY_PERIOD_S = 600
    RETRY_PAUSE_S = 2
    LATE_MAX = 1_000
    # Pause before a callable is asked again that has answered with the past.
    ASK_AGAIN_S = 1

    # One time of one entry; a void one only says when to ask the entry again.
    Tick = Struct.new(:entry, :at, :void)

    # @param entries [Array<CronEntry>]
    # @param graceful_restart_period [Numeric, nil] seconds before the start: what was due in them is enqueued, unless somebody has
    def initialize(entries, graceful_restart_period: nil)
      @entries = entries
      @graceful_restart_period = graceful_restart_period
      @mutex = Mutex.new
      @stopping = ConditionVariable.new
      @late = []
    end

    # @return [self]
    def start
      Events.tell("cron_manager_start.good_job", { cron_entries: @entries })
      @thread = Thread.new { run }
      @thread.name = "good_job cron"
      self
    end

    # Enqueues nothing any more. Twice is fine.
    def stop
      @mutex.synchronize do
        @stopped = true
        @stopping.broadcast
      end
    end

    # Waits for the thread.
    # @param limit [Numeric, nil] seconds
    def join(limit = nil)
      @thread&.join(limit)
    end

    private

    def run
      @next ||= @entries.map { |entry| next_tick(entry, nil) }
      catch_up
      run_once while wait
    rescue StandardError => e
      # Of our own making: what entries do is rescued where it is done.
      GoodJob.report_error(e)
      retry
    end

    def catch_up
      return if @caught_up || !@graceful_restart_period&.positive?

      @caught_up = true
      @entries.flat_map { |entry| entry.within(@graceful_restart_period).map { |at| Tick.new(entry, at) } }.sort_by(&:at).each do |tick|
        break if @stopped

        enqueue(tick)
      end
    end

    # @return [Boolean] whether to go on
    def wait
      @mutex.synchronize do
        @stopping.wait(@mutex, seconds_to_wait) unless @stopped || seconds_to_wait.zero?
        !@stopped
      end
    end

    def seconds_to_wait
      seconds = @next.map { |tick| tick.at - Time.current }.min || WAIT_MAX_S
      seconds = [seconds, RETRY_PAUSE_S].min if @late.any?
      seconds.clamp(0, WAIT_MAX_S)
    end

    # What is due is scheduled anew before it is enqueued: an entry that fails goes on all the same.
    def run_once
      now = Time.current
      due, @next = @next.partition { |tick| tick.at <= now }
      @next.concat(due.map { |tick| next_tick(tick.entry, tick.void ? nil : tick.at) })
      late = @late
      @late = []
      [*late, *due].each { |tick| enqueue(tick) unless @stopped || tick.void }
    end

    def next_tick(entry, previously_at)
      at = entry.next_at(previously_at: previously_at)
      return Tick.new(entry, Time.current + WAIT_MAX_S, true) unless at
      return Tick.new(entry, at) unless previously_at && at <= previously_at

      Tick.new(entry, Time.current + ASK_AGAIN_S, true)
    rescue StandardError => e
      GoodJob.report_error(e)
      Tick.new(entry, Time.current + WAIT_MAX_S, true)
    end

    def enqueue(tick)
      GoodJob.within_executor do
        tick.entry.enqueue_once(tick.at) if tick.entry.enabled?
      end
    rescue ActiveRecord::ActiveRecordError, PG::Error => e
      GoodJob.report_error(e) unless tick.at < Time.current - RETRY_PAUSE_S
      keep(tick)
    rescue StandardError, ScriptError => e
      GoodJob.report_error(e)
    end

    def keep(tick)
      @late << tick if @late.size < LATE_MAX && tick.at > Time.current - RETRY_PERIOD_S
    end
  end
end
