# frozen_string_literal: true

module GoodJob
  # One thread's dealings with the limits of its jobs. A run that ends hands its slot on: the thread fetches the next jobs that are parked
  # for it and runs them, for a while, before it looks at what else there is.
  class Relay
    # How long a thread stays with the jobs of one limit: others, of higher priority perhaps, wait for it.
    LEG_S = 1.0
    # Fetched in advance are as many as run in this time.
    AHEAD_S = 0.05
    AHEAD_MAX = 10
    # After so long, because one of them took longer than expected, they are given back. The runtime takes claims that it does not know of
    # for lost after 20 s, and gives them back itself: by then, none may be run here.
    FETCHED_AGE_MAX_S = 5

    # @param slots [Slots]
    # @param runtime [Native::Runtime]
    # @param queues [Hash] those of the pool
    # @param stopping [#call] whether the thread is to come to an end
    def initialize(slots:, runtime:, pool_index:, queues:, stopping:)
      @slots = slots
      @stopping = stopping
      @runtime = runtime
      @pool_index = pool_index
      @queues = queues
      @fetched = []
    end

    # @return [Hash, nil] a claim as of {Native::Runtime#take}, for which the thread has a slot; nil: the leg is over. It may end with a job
    #   that never came to use the slot: its lease was lost, its arguments are gone, it may not start yet.
    def next_claim
      row = @fetched.shift
      return adopt(row) if row

      let_go
      nil
    end

    # Runs a job that has limits, or parks it.
    # @param run [Run]
    # @param gates [Array<Limits::Gate>]
    # @yield runs it
    def pass(run, gates)
      begun_at = now
      let_go unless gates == [@held]
      refused, time = enter(gates, run)
      return turn_away(run, refused, time) { yield } if refused # rubocop:disable Style/ExplicitBlockArgument

      run.admit
      begin
        yield
      ensure
        leave(gates, now - begun_at)
      end
    end

    # Gives back what is not run any more.
    def close
      return if @slots.forked?

      give_back_fetched
      let_go
    rescue StandardError => e
      GoodJob.report_error(e)
    end

    private

    # Ends a leg: the slot is for others.
    def let_go
      return unless @held

      gate = @held
      @held = nil
      give_back([gate])
    end

    def give_back_fetched
      while (row = @fetched.shift)
        @runtime.finish(adopt(row)[:lease], Outcome::UNSTARTED)
      end
    end

    # The run begins now, which is later than the claim.
    def adopt(row)
      job = row.slice(:id, :token_us, :executions_count, :interrupted_at, :rescued, :queue_name, :priority, :job_class, :scheduled_at, :created_at)
      job[:claimed_at] = row[:claimed_at] + ((now - @fetched_at) * 1_000_000).to_i
      claim = { lease: @runtime.adopt(@pool_index, job), **row.slice(:id, :serialized_params) }
      claim[:stamp_first] = true if row[:rescued] || row[:interrupted_at]
      claim.merge(row.slice(:concurrency_key, :labels, :interrupted_at).compact)
    end

    # @return [Array(Limits::Gate, Time), nil] the limit that is reached, and when the job becomes due by itself; nil: the job may run
    def enter(gates, run)
      taken = []
      gates.each do |gate|
        time = GoodJob.within_executor { Limits.start(gate, run.job_id) } if gate.throttle
        free = time.nil? && (gate.slots.nil? || gate == @held || @slots.take(gate))
        unless free
          give_back(taken)
          return [gate, time]
        end
        taken << gate if gate.slots && gate != @held
      end
      nil
    rescue StandardError => e
      give_back(taken)
      GoodJob.report_error(e)
      [gates.first, nil]
    end

    # A job that handles the error itself gets to see it.
    def turn_away(run, gate, time)
      error = Limits.excess_error(gate, time)
      if run.job_class.good_job_handles_excess?(error.class)
        run.turn_away(error)
        yield
      else
        park(run, gate, time)
      end
    end

    def park(run, gate, time)
      run.park(time)
      @slots.park_waiting(gate, time)
      @slots.watch(gate) unless time
    rescue StandardError => e
      GoodJob.report_error(e)
    end

    # @param duration_s [Numeric] of the run
    def leave(gates, duration_s)
      return if @slots.forked?

      limited = gates.select(&:slots)
      @leg_began_at = now unless @held
      @held = limited.first if limited.size == 1 && more?(limited.first, duration_s)
      return if @held && limited == [@held] && @fetched.any?

      @held = nil
      give_back(limited)
    end

    # @return [Boolean] whether jobs of the limit are there to be run next
    def more?(gate, duration_s)
      give_back_fetched if @fetched.any? && now - @fetched_at > FETCHED_AGE_MAX_S
      return true if @fetched.any?
      return false if @stopping.call || now - (@held ? @leg_began_at : now) > LEG_S

      count = (AHEAD_S / [duration_s, AHEAD_S / AHEAD_MAX].max).floor
      @fetched_at = now
      @fetched = @slots.fetch(gate, [count, 1].max, @queues)
      @fetched.any?
    rescue StandardError => e
      GoodJob.report_error(e)
      false
    end

    # And lets one job that waits for each know. After, not before: it would find the limit full.
    def give_back(gates)
      gates.each do |gate|
        @slots.give_back(gate)
        @slots.unpark(gate, 1)
      rescue StandardError => e
        GoodJob.report_error(e)
      end
    end

    def now
      ::Process.clock_gettime(::Process::CLOCK_MONOTONIC)
    end
  end
end
