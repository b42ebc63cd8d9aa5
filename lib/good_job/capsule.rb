# frozen_string_literal: true

require "time"
require "good_job/capsule/chores"
require "good_job/capsule/crew"
require "good_job/capsule/launch"
require "good_job/capsule/tracker"

module GoodJob
  # Everything that one process owns to run jobs: the runtime, the crew of threads that run what it claims, one thread that listens to
  # what it has to tell, and one that answers when it asks whether Ruby runs. Starts at most once; after a shutdown only {#restart} starts
  # it again. A forked process has none of it: there the capsule is as new.
  class Capsule
    # What the end of a shutdown may take after the running jobs have been interrupted: their `ensure` blocks, and saving outcomes.
    KILL_GRACE_S = 5
    # What the end of a shutdown may take after everything has been saved.
    CHORES_GRACE_S = 5

    @instances = []

    class << self
      # @return [Array<Capsule>] all capsules of this process
      attr_reader :instances
    end

    # @param configuration [Configuration, nil] nil: {GoodJob.configuration}, as it is when asked
    # @param observer [#call, nil] is told every event of the runtime too, and { name: "stopped" } when everything is over
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
      return if closer.nil? || timeout.nil? || @state == :stopped || closer.join(timeout.negative? ? nil : timeout)

      kill_jobs
      closer.join(KILL_GRACE_S) || stop_in_thread(KILL_GRACE_S)
    end

    # @param timeout [Numeric] see {#shutdown}
    def restart(timeout: -1)
      tell_of("scheduler_restart_pools")
      @restarting = true
      shutdown(timeout: timeout)
      start(force: true)
    ensure
      @restarting = false
    end

    # @return [Boolean] whether it claims and runs jobs
    def running?
      !forked? && @state == :running
    end

    # @return [Boolean] whether nothing of it runs: it has not been started, or has been shut down
    def shutdown?
      forked? || %i[new stopped].include?(@state)
    end

    # @param seconds [Numeric, nil] nil: now
    # @return [Boolean] whether no job is running here, and none has been, nor was this started, for so long
    def idle?(seconds = nil)
      forked? || @crew.nil? || @crew.idle?(seconds || 0)
    end

    # @return [Array<Worker>]
    def workers
      forked? || @crew.nil? ? [] : @crew.workers
    end

    # @return [String] uuid under which this process holds jobs
    def process_id
      leave_parent
      @runtime&.process_id || @process_id
    end

    # @return [Tracker] who this process is to others
    def tracker
      @tracker ||= Tracker.new(self)
    end

    # Says that there is a job: free threads look for it. Like an announcement, but in this process only.
    # @param job_state [Hash, nil] its `queue_name` and `scheduled_at`, as an announcement or {Job#job_state} has them; nil: whatever it is
    # @return [Boolean, nil] whether a pool takes from the queue; nil: no thread is free, or nothing is claimed
    def create_thread(job_state = nil)
      return unless running?

      queue_name, scheduled_at = job_state.to_h.symbolize_keys.values_at(:queue_name, :scheduled_at)
      scheduled_at = Time.parse(scheduled_at) if scheduled_at.is_a?(String)
      @runtime.look(queue_name&.to_s, scheduled_at && (scheduled_at.to_r * 1_000_000).round)
    end

    # Lets the application's other threads go before those that run jobs, or not.
    # @param lower [Boolean, nil] nil: as configured
    def lower_thread_priority=(lower)
      leave_parent
      @lower_thread_priority = lower
      @mutex.synchronize { @crew&.low_priority = low_priority? }
    end

    # @return [Hash, nil] see {Native::Runtime#snapshot}; nil before the start
    def snapshot
      leave_parent
      @runtime&.snapshot
    end

    # In a forked process: forgets what belongs to the parent, without touching it.
    # @return [Symbol, nil] the state of the parent's; nil if there is nothing to forget
    def leave_parent
      return unless forked?

      @state.tap { become_new }
    end

    private

    def forked?
      @pid != ::Process.pid
    end

    # The parent's runtime may be collected here: the library leaves alone what it did not make in this process.
    def become_new
      @slots&.leave_parent
      @slots = nil
      @pid = ::Process.pid
      @process_id = SecureRandom.uuid
      @mutex = Mutex.new
      @leaving = Mutex.new
      @state = :new
      @runtime = @crew = @closer = @events = @cron = nil
      @chores = Chores.new
    end

    def launch
      @runtime = Native::Runtime.new(Launch.options(configuration))
      @runtime.start
      @closer = nil
      listen_to(@runtime)
      answer_pulse_of(@runtime)
      @runtime.pools.each { |pool| tell_of("scheduler_create_pool", performer_name: pool[:name], max_threads: pool[:max_threads]) }
      @slots = Slots.new(@runtime.process_id)
      queues = Native.parse_queues(configuration.queues).map { |pool| pool.fetch(:queues) }
      @crew = Crew.new(@runtime, slots: @slots, queues: queues, low_priority: low_priority?).start
      @cron = start_cron
      shut_down_at_exit
    end

    def low_priority?
      @lower_thread_priority.nil? ? configuration.lower_thread_priority : @lower_thread_priority
    end

    def start_cron
      return unless configuration.enable_cron

      entries = CronEntry.all(configuration: configuration)
      Cron.new(entries, graceful_restart_period: configuration.cron_graceful_restart_period).start if entries.any?
    end

    def listen_to(runtime)
      thread = Thread.new do
        while (event = runtime.next_event)
          hear(event)
        end
      rescue ForkedError
        nil
      end
      thread.name = "good_job events"
      @events = thread
    end

    # A thread of its own: those that run jobs or listen may wait for something else than Ruby's lock.
    def answer_pulse_of(runtime)
      thread = Thread.new do
        runtime.answer_pulse
      rescue ForkedError
        nil
      end
      thread.name = "good_job pulse"
    end

    def hear(event)
      case event[:name]
      when "vitals_wanted" then return @runtime.note_vitals(GoodJob::Process.vitals)
      when "ripe_batches" then @chores.advance(event[:batch_ids])
      else RuntimeEvents.handle(event)
      end
      @observer&.call(event)
    rescue StandardError => e
      GoodJob.report_error(e)
    end

    def begin_draining
      return unless @state == :running

      @state = :draining
      @cron&.stop
      @crew.shut_down
      @runtime.drain
    end

    # @return [Thread, nil] waits for the jobs, then saves and takes leave; nil: there is nothing to close
    def close(timeout)
      return @closer if @closer || @state == :new

      tell_of("scheduler_shutdown_start", timeout: timeout)
      begin_draining
      @closer = start_closing(@crew, @cron, timeout)
    end

    # What it waits for may outlast the capsule's shutdown, and even its restart.
    def start_closing(crew, cron, timeout)
      runtime = @runtime
      slots = @slots
      thread = Thread.new do
        crew.join
        cron&.join(CHORES_GRACE_S)
        stop(runtime, slots, nil, timeout)
      end
      thread.name = "good_job end"
      thread
    end

    def kill_jobs
      job_ids = @crew.kill
      tell_of("scheduler_shutdown_kill", active_job_ids: job_ids) if job_ids.any?
    end

    # Waiting inside the library is never for the main thread: on Ruby 3.1 it would not see signals meanwhile.
    def stop_in_thread(seconds)
      Thread.new { stop(@runtime, @slots, seconds * 1_000_000, seconds) }.join
    end

    # Both who waits for the jobs, and who has waited for long enough, come here. The first takes leave.
    def stop(runtime, slots, patience_us, timeout)
      # On a thread of its own: it may have to wait for somebody who waits for a silent database.
      Thread.new { slots.close }.join(CHORES_GRACE_S)
      saved = runtime.stop(patience_us)
      @leaving.synchronize { take_leave(saved, timeout) if @runtime.equal?(runtime) && @state != :stopped }
    end

    def take_leave(saved, timeout)
      unsaved = @runtime.snapshot[:unsaved_outcomes]
      @events.join(CHORES_GRACE_S) && @chores.finish(CHORES_GRACE_S)
      @state = :stopped
      LogSubscriber.log(:error, "GoodJob could not save how #{unsaved} jobs ended; they will run again.") unless saved
      tell_of("scheduler_shutdown", timeout: timeout)
      @observer&.call({ name: "stopped" }) unless @restarting
    end

    def shut_down_at_exit
      return if @exit_pid == @pid

      @exit_pid = pid = @pid
      at_exit { shutdown if ::Process.pid == pid }
    end

    def tell_of(name, payload = {})
      Events.tell("#{name}.good_job", { scheduler: self, process_id: ::Process.pid, thread_name: CurrentThread.thread_name }.merge(payload))
    end
  end
end
