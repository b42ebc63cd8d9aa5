# frozen_string_literal: true

require "pg"

module GoodJob
  # The slots that a process has of the limits of its jobs: how many of a key run at once. A slot is an advisory lock of a session that the
  # process keeps for this, so that a process that dies gives its slots back at once, and the lock table is what counts.
  #
  # What is refused is parked, and fetched by whoever has a slot. Somebody also looks after the limits that refused something, once a second:
  # a slot may have been given back while a job was on its way to be parked, or its holder may have died.
  class Slots
    # How long a limit that was full is believed to be.
    FULL_S = 0.02
    # How often to park the jobs that wait for a limit that is full, at most.
    PARKING_INTERVAL_S = 0.05
    PARKED_AT_ONCE_MAX = 1_000
    WATCH_INTERVAL_S = 1
    # More are left to come due by themselves.
    WATCHED_MAX = 1_000
    CONNECT_TIMEOUT_S = 5
    # A session whose peer went silent, and sends no error, is given up.
    ANSWER_TIMEOUT_S = 5
    KEY_MAX = (2**63) - 1

    # @param process_id [String] under which jobs are claimed
    def initialize(process_id)
      @process_id = process_id
      @key = SecureRandom.random_number(KEY_MAX)
      @pid = ::Process.pid
      @mutex = Mutex.new
      @numbers = Hash.new { |numbers, name| numbers[name] = [] }
      @full_until = {}
      @parked_at = {}
      @watched = {}
      @wake = ConditionVariable.new
    end

    # @param gate [Limits::Gate]
    # @return [Boolean] whether a slot was taken
    def take(gate)
      @mutex.synchronize do
        next false if full?(gate)

        row = ask("take_slot", [gate.name, gate.slots, array(@numbers[gate.name]), nil]).first
        row ? note_slot(gate, row) : note_full(gate)
      end
    end

    # @param gate [Limits::Gate]
    def give_back(gate)
      @mutex.synchronize do
        number = @numbers[gate.name].pop
        @numbers.delete(gate.name) if @numbers[gate.name].empty?
        @full_until.delete(gate.name)
        # A session that is gone has given it back already.
        ask("give_slot_back", [gate.name, number]) if number
      rescue PG::Error
        disconnect
      end
    end

    # Claims jobs that are parked.
    # @param queues [Hash] those of the pool, see {Native.parse_queues}
    # @return [Array<Hash>] see fetch_parked.sql
    def fetch(gate, count, queues)
      return [] if count < 1 || paused?

      names = queues.values_at(:include, :exclude).map { |list| Statements.array(list) }
      rows = by_scope("fetch_parked", gate) { |scope| [Database.time_zone, scope, count, @process_id, *names] }
      rows.map { |row| row.symbolize_keys.merge(labels: Statements.list(row["labels"])) }
    end

    # Makes parked jobs due again, for whoever has a thread for them.
    # @return [Integer] how many there were
    def unpark(gate, count)
      by_scope("unpark_jobs", gate) { |scope| [Database.time_zone, scope, count] }.first.fetch("woken")
    end

    # Parks the jobs that wait for a limit that was just found to be full.
    # @param time [Time, nil] see park_jobs.sql
    def park_waiting(gate, time)
      return unless gate.key && parking_due?(gate)

      count, period = gate.throttle if time
      Statements.run("park_waiting", [gate.key, PARKED_AT_ONCE_MAX, Database.time_zone, time, count || 0, ((period || 0) * 1_000_000).to_i])
    end

    # Looks after a limit from now on, until nothing is parked for it.
    def watch(gate)
      @mutex.synchronize do
        @watched[gate.name] = gate if @watched.size < WATCHED_MAX
        @watcher ||= start_watching unless @closed
        @wake.signal
      end
    end

    # @return [Boolean] whether this is a process that was forked from the one that these belong to
    def forked?
      @pid != ::Process.pid
    end

    # Gives everything back.
    def close
      watcher = @mutex.synchronize do
        @closed = true
        @wake.signal
        @watcher
      end
      watcher&.join
      @mutex.synchronize { disconnect }
    end

    # In a forked process: the session is the parent's, and must not be told of its end.
    def leave_parent
      @session&.socket_io&.reopen(IO::NULL)
    rescue StandardError
      nil
    end

    private

    # What is parked is not asked whether it is paused; claims are.
    def paused?
      GoodJob.configuration.enable_pauses && BaseRecord.connection_pool.with_connection { Setting.paused? }
    end

    def full?(gate)
      return true if gate.slots <= @numbers.fetch(gate.name, []).size

      until_time = @full_until[gate.name]
      until_time ? now < until_time : false
    end

    def note_slot(gate, row)
      @numbers[gate.name] << Integer(row.fetch("slot"))
      true
    end

    def note_full(gate)
      @numbers.delete(gate.name) if @numbers[gate.name].empty?
      @full_until.clear if @full_until.size >= WATCHED_MAX
      @full_until[gate.name] = now + FULL_S
      false
    end

    def parking_due?(gate)
      @mutex.synchronize do
        next false if @parked_at[gate.name]&.> now - PARKING_INTERVAL_S

        @parked_at.clear if @parked_at.size >= WATCHED_MAX
        @parked_at[gate.name] = now
      end
    end

    # By key there is an index; by label, and of all jobs, they are looked for among those that are due soon.
    def by_scope(statement, gate)
      gate.key ? Statements.run("#{statement}_by_key", yield(gate.key)) : Statements.run(statement, yield(gate.label))
    end

    def ask(statement, binds)
      run_on(session, statement, binds)
    rescue PG::ConnectionBad, PG::UnableToSend
      # Once more, with the slots that were ours if nobody has taken them meanwhile.
      disconnect
      run_on(session, statement, binds)
    end

    def run_on(session, statement, binds)
      Statements.run_on(session, statement, binds, ANSWER_TIMEOUT_S)
    end

    def session
      @session ||= succeed(connect)
    end

    def succeed(session)
      run_on(session, "take_slots_over", [@key])
      take_again(session)
      session
    rescue StandardError
      session.close
      raise
    end

    def connect
      settings = Database.new.connection
      session = PG.connect(**settings, connect_timeout: settings[:connect_timeout] || CONNECT_TIMEOUT_S, application_name: "GoodJob slots")
      # A slot that went with a lost session cannot be given back; the server would say so on standard error.
      session.set_notice_processor { nil }
      session
    end

    def take_again(session)
      @numbers.each do |name, numbers|
        numbers.each { |number| run_on(session, "take_slot", [name, number, "{}", number]) }
      end
    end

    def disconnect
      @session&.close
    rescue PG::Error
      nil
    ensure
      @session = nil
    end

    def array(numbers)
      "{#{numbers.join(",")}}"
    end

    def start_watching
      Thread.new { keep_watching }.tap do |thread|
        thread.name = "good_job slots"
        thread.report_on_exception = false
      end
    end

    def keep_watching
      while (gates = next_round)
        gates.each { |gate| look_after(gate) }
      end
    end

    # @return [Array<Limits::Gate>, nil] nil: it is over
    def next_round
      @mutex.synchronize do
        @wake.wait(@mutex) while @watched.empty? && !@closed
        deadline = now + WATCH_INTERVAL_S
        @wake.wait(@mutex, deadline - now) while !@closed && now < deadline
        @closed ? nil : @watched.values
      end
    end

    def look_after(gate)
      return unless take(gate)

      give_back(gate)
      @mutex.synchronize { @watched.delete(gate.name) } if unpark(gate, gate.slots).zero?
    rescue StandardError => e
      GoodJob.report_error(e)
    end

    def now
      ::Process.clock_gettime(::Process::CLOCK_MONOTONIC)
    end
  end
end
