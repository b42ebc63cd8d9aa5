# frozen_string_literal: true

module GoodJob
  # One thread that runs jobs: takes a claim, runs it, hands over the outcome, and again. Whatever unwinds it (Thread#kill, Thread#raise,
  # an exception that nobody handles), every claim it took is accounted for.
  class Worker
    NEVER = { Object => :never }.freeze
    ON_BLOCKING = { Object => :on_blocking }.freeze
    IMMEDIATE = { Object => :immediate }.freeze
    LOW_PRIORITY = -3
    KEY = :good_job_worker
    private_constant :KEY

    # @return [Worker, nil] whose thread this is
    def self.current
      Thread.current.thread_variable_get(KEY)
    end

    attr_reader :pool_index, :name

    # @param runtime [Native::Runtime]
    # @param slots [Slots]
    # @param queues [Hash] of the pool, see {Native.parse_queues}
    # @param on_end [#call] called with this worker when its thread ends
    # @param on_run_end [#call, nil] called with each run that has ended, and with what it raised that no job may raise
    def initialize(runtime:, slots:, queues:, pool_index:, name:, low_priority:, on_end:, on_run_end: nil)
      @runtime = runtime
      @slots = slots
      @queues = queues
      @pool_index = pool_index
      @name = name
      @low_priority = low_priority
      @on_end = on_end
      @on_run_end = on_run_end
    end

    # The thread begins with the mask of the one that made it: not even a kill before its first step goes unnoticed.
    # @return [self]
    def start
      @thread = Thread.handle_interrupt(NEVER) { Thread.new { work } }
      @thread.name = name
      @thread.priority = LOW_PRIORITY if @low_priority
      @thread.report_on_exception = false
      self
    end

    # @param low [Boolean] whether the application's other threads go first
    def low_priority=(low)
      @thread.priority = low ? LOW_PRIORITY : 0
    end

    # @return [Boolean] whether a long job should come to an end
    def shutting_down?
      @shutting_down ? true : false
    end

    # Lets the current job know; see {#shutting_down?}.
    def shut_down
      @shutting_down = true
    end

    # Interrupts the current job.
    def kill
      @thread.kill
    end

    # Waits until the thread has ended.
    def join
      @thread.join
    end

    def alive?
      @thread.alive?
    end

    # @return [String, nil] the job that is running
    def job_id
      @run&.job_id
    end

    # @return [Float, nil] since when it has been waiting for a job, by the monotonic clock; nil: it is not
    attr_reader :idle_since

    private

    def work
      Thread.current.thread_variable_set(KEY, self)
      while (claim = next_claim)
        account_for(claim)
      end
    rescue StoppedError, ForkedError
      nil
    rescue Exception => e # rubocop:disable Lint/RescueException -- reported, and the thread replaced
      GoodJob.report_error(e)
    ensure
      @relay&.close
      @on_end.call(self)
    end

    def next_claim
      (@relay.next_claim if @relay && !shutting_down?) || take
    end

    # Waiting is the only place where an interrupt can end the loop without a claim in hand.
    def take
      @runtime.try_take(@pool_index) || wait
    end

    def wait
      @idle_since = ::Process.clock_gettime(::Process::CLOCK_MONOTONIC)
      Thread.handle_interrupt(ON_BLOCKING) { @runtime.take(@pool_index) }
    ensure
      @idle_since = nil
    end

    def account_for(claim)
      @run = run = Run.new(claim, @runtime)
      gates = Limits.gates_of(run)
      # A lease that was lost before the start: the job is somebody else's, and "unstarted" changes nothing of theirs.
      return unless !run.counted_first? || @runtime.started(claim[:lease])

      gates.empty? ? perform(run) : relay.pass(run, gates) { perform(run) }
    ensure
      @run = nil
      @runtime.finish(claim[:lease], run.outcome)
      tell_of_end(run) if @on_run_end
    end

    def tell_of_end(run)
      error = @raised
      @raised = nil
      @on_run_end.call(run, error)
    end

    def relay
      @relay ||= Relay.new(slots: @slots, runtime: @runtime, pool_index: @pool_index, queues: @queues, stopping: method(:shutting_down?))
    end

    def perform(run)
      Events.perform_job(run) do
        run.perform { |params| Thread.handle_interrupt(IMMEDIATE) { ActiveJob::Base.execute(params) } }
      end
      LogSubscriber.performed(run.job_id)
    rescue Exception => e # rubocop:disable Lint/RescueException -- an exception that no job may handle ends the run, not the thread
      @raised = e if @on_run_end
      GoodJob.report_error(e)
    end
  end
end
