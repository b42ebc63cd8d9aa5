# frozen_string_literal: true

module GoodJob
  # Everything that one process owns to run jobs: the runtime, the threads that run what it claims, and one thread that listens to what
  # it has to tell. Starts at most once; after a shutdown only {#restart} starts it again. A forked process has none of it: there the
  # capsule is as new.
  class Capsule
    # What the end of a shutdown may take after the running jobs have been interrupted: their `ensure` blocks, and saving outcomes.
    KILL_GRACE_S = 5

    @instances = []

    class << self
      # @return [Array<Capsule>] all capsules of this process
      attr_reader :instances
    end

    # @param configuration [Configuration, nil] nil: {GoodJob.configuration}, as it is when asked
    # @param observer [#call, nil] is told every event of the runtime too
    def initialize(configuration: nil, observer: nil)
      @configuration = configuration
      @observer = observer
      become_new
      self.class.instances << self
    end

    # @return [Configuration]
    def configuration
      @configuration || GoodJob.configuration
    end

    # Starts the runtime and its threads; returns at once, connected or not.
    # @param force [Boolean] even after a shutdown
    # @return [Boolean] whether this call started it
    # @raise [ArgumentError, DatabaseError] the settings make no sense
    def start(force: false)
      leave_parent
      @mutex.synchronize do
        return false unless @state == :new || (force && @state == :stopped)

        launch
        @state = :running
      end
      true
    end

    # Claims no more; the running jobs go on and their threads end with them.
    def drain
      leave_parent
      @mutex.synchronize { begin_draining }
    end

    # Ends the runtime and its threads.
    # @param timeout [Numeric, nil] seconds that running jobs are given: -1 for ever, 0 none; then their threads are killed. nil only
    #   begins to shut down, and returns. Without it, the configured shutdown_timeout.
    # @return [void]
    def shutdown(timeout: NONE)
      leave_parent
      timeout = configuration.shutdown_timeout if timeout == NONE
      closer = @mutex.synchronize { close(timeout) }
      return if closer.nil? || timeout.nil?
      return if closer.join(timeout.negative? ? nil : timeout)

      kill_workers
      closer.join(KILL_GRACE_S) || force_stop
    end

    # @param timeout [Numeric] see {#shutdown}
    def restart(timeout: -1)
      Events.tell("scheduler_restart_pools.good_job", process_id: ::Process.pid)
      shutdown(timeout: timeout)
      start(force: true)
    end

    # @return [Boolean] whether it claims and runs jobs
    def running?
      !forked? && @state == :running
    end

    # @return [Boolean] whether it has been started and shut down
    def shutdown?
      !forked? && @state == :stopped
    end

    # @return [Boolean] whether no job is running here
    def idle?
      forked? || @workers.none?(&:job_id)
    end

    # @return [String] uuid under which this process holds jobs
    def process_id
      leave_parent
      @runtime&.process_id || @process_id
    end

    # @return [Hash, nil] see {Native::Runtime#snapshot}; nil before the start
    def snapshot
      leave_parent
      @runtime&.snapshot
    end

    # @return [Array<Worker>]
    def workers
      forked? ? [] : @workers
    end

    # In a forked process: forgets what belongs to the parent, without touching it.
    def leave_parent
      become_new if forked?
    end

    private

    def forked?
      @pid != ::Process.pid
    end

    # The runtime of the parent must not be freed here, nor is it: the library leaves alone what it did not make in this process.
    def become_new
      @pid = ::Process.pid
      @process_id = SecureRandom.uuid
      @mutex = Mutex.new
      @state = :new
      @runtime = nil
      @workers = []
      @closer = nil
    end

    def launch
      @runtime = Native::Runtime.new(Launch.options(configuration))
      @runtime.start
      @closer = nil
      listen_to(@runtime)
      @workers = @runtime.pools.each_with_index.flat_map { |pool, index| start_pool(pool, index) }
      shut_down_at_exit
    end

    def start_pool(pool, index)
      Events.tell("scheduler_create_pool.good_job", scheduler_payload(performer_name: pool[:name], max_threads: pool[:max_threads]))
      Array.new(pool[:max_threads]) { |number| start_worker(index, "good_job #{pool[:name]} #{number + 1}") }
    end

    def start_worker(pool_index, name)
      Worker.new(
        runtime: @runtime, pool_index: pool_index, name: name, low_priority: configuration.lower_thread_priority, on_end: method(:worker_ended)
      ).start
    end

    # A thread that was killed from outside, or by its job, is replaced.
    def worker_ended(worker)
      return if forked?

      @mutex.synchronize do
        next unless @state == :running && @workers.delete(worker)

        @workers += [start_worker(worker.pool_index, worker.name)]
      end
    end

    def listen_to(runtime)
      thread = Thread.new do
        while (event = runtime.next_event)
          tell(event)
        end
      rescue ForkedError
        nil
      end
      thread.name = "good_job events"
    end

    def tell(event)
      RuntimeEvents.handle(event)
      @observer&.call(event)
    rescue StandardError => e
      GoodJob.report_error(e)
    end

    def begin_draining
      return unless @state == :running

      @state = :draining
      @workers.each(&:shut_down)
      @runtime.drain
    end

    # @return [Thread, nil] waits for the workers, then saves and takes leave; nil: there is nothing to close
    def close(timeout)
      return @closer if @closer || @state == :new

      Events.tell("scheduler_shutdown_start.good_job", scheduler_payload(timeout: timeout))
      begin_draining
      runtime = @runtime
      workers = @workers
      @closer = Thread.new do
        workers.each(&:join)
        stop(runtime, nil, timeout)
      end
    end

    # The thread that stops the runtime waits inside the library; it is never the main thread, which must stay open to signals.
    def stop(runtime, timeout_us, timeout)
      saved = runtime.stop(timeout_us)
      @state = :stopped
      unsaved = runtime.snapshot[:unsaved_outcomes] unless saved
      LogSubscriber.log(:error, "GoodJob could not save how #{unsaved} jobs ended; they will run again.") unless saved
      Events.tell("scheduler_shutdown.good_job", scheduler_payload(timeout: timeout))
    end

    def kill_workers
      running = @workers.select(&:alive?)
      job_ids = running.map(&:job_id).compact
      Events.tell("scheduler_shutdown_kill.good_job", scheduler_payload(active_job_ids: job_ids)) if job_ids.any?
      running.each(&:kill)
    end

    def force_stop
      Thread.new { stop(@runtime, KILL_GRACE_S * 1_000_000, KILL_GRACE_S) }.join
    end

    def scheduler_payload(payload)
      { scheduler: self, process_id: ::Process.pid, thread_name: Thread.current.name }.merge(payload)
    end

    def shut_down_at_exit
      return if @exit_pid == @pid

      @exit_pid = pid = @pid
      at_exit { shutdown if ::Process.pid == pid }
    end
  end
end
