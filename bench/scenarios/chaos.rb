# frozen_string_literal: true

require_relative "../support/aftermath"
require_relative "../support/drain"
require_relative "../support/journal"
require_relative "../support/scenario"
require_relative "../support/statistics"
require_relative "../support/stock"
require_relative "../support/supply"
require_relative "../support/watch"

module Bench
  # What kill -9 does to jobs. Workers are killed one after the other while jobs are enqueued and run, and each is replaced at once; some
  # are stopped instead, until their jobs have been run elsewhere, and then go on. By the tables and by what the workers wrote down
  # themselves: is every job done, by whom, how often, and how soon after the worker that had it was gone.
  class Chaos < Scenario
    # Short ones are claimed in advance; long ones are under way when the end comes.
    DURATIONS_MS = [1, 1, 10, 50, 500].freeze
    # Longer than a silent worker is believed to live.
    STOPPED_S = 30

    # A worker: its process, its name in the journal.
    Member = Struct.new(:process, :name)

    summary "kill -9 one worker after the other while jobs run; jobs lost, overwritten, run twice without need; seconds until rescue"
    option :kills, 200, "workers killed", quick: 3
    option :stops, 2, "workers stopped for #{STOPPED_S} s and continued, beside", quick: 0
    option :jobs, 20_000, "jobs that are enqueued meanwhile", quick: 300
    option :workers, 3, "worker processes at any time", quick: 2
    option :threads, 5, "threads of each"
    option :interval_ms, 2_000, "ms between two kills, on average", quick: 500
    option :seed, 1, "of who is killed, and when"
    goals lost: "≤ 0", overwritten: "≤ 0", duplicates_outside_flight: "≤ 0", rescue_p99_s: "≤ 10"

    # Jobs lost, overwritten or run twice are figures; that there are any is an error all the same.
    def faults
      wrong = @figures.slice(:lost, :overwritten, :duplicates_outside_flight).select { |_what, number| number.positive? }
      wrong.map { |what, number| "#{number} jobs #{what.to_s.tr("_", " ")}: #{@examples.fetch(what, []).first(5).join(", ")}" }
    end

    private

    def measure
      @random = Random.new(options[:seed])
      @members = []
      @spares = []
      @blows = []
      (options[:workers] + 1).times { prepare_spare }
      Stock.at(queue, @database.url) do |stock|
        @stock = stock
        Watch.new(stock.connection).start
        Stock.at(queue, @database.url) { |source| Journal.open { |journal| run_through(source, journal) } }
      end
    ensure
      [*@members.map(&:process), @stopped&.process, *@spares].compact.each(&:kill)
    end

    def run_through(source, journal)
      @journal = journal
      jobs = process { |enqueuer| DURATIONS_MS.map { |ms| source.jobs(enqueuer, :JournaledJob, ms) } }
      options[:workers].times { join }
      with_supply(Turns.new(jobs)) { strike }
      drain
      judge
    end

    # --- The jobs

    # From a thread of its own, in proportion to the time that has gone by.
    def with_supply(jobs)
      thread = Thread.new do
        supply = Supply.new(jobs)
        supply.steadily(options[:jobs] / duration_s, duration_s)
        supply.add(options[:jobs] - supply.added)
      end
      yield
      thread.value
    ensure
      thread.kill
    end

    def duration_s
      options[:kills] * options[:interval_ms] / 1000.0
    end

    # --- The workers

    # Loads the application while others work, so that nobody has to wait for it.
    def prepare_spare
      @spares << MeasuredProcess.new(queue, @database.url)
    end

    # One more worker works.
    def join
      member = Member.new(@spares.shift, @names = @names.to_i + 1)
      @members << member
      @journal.keep(member.process, member.name)
      member.process.call(:Log, :discard)
      member.process.call(:Worker, :start_idle, threads: options[:threads])
    end

    def strike
      stops = stop_times
      options[:kills].times do |number|
        sleep @random.rand(0.5..1.5) * options[:interval_ms] / 1000.0
        resume if @stopped && stopped_for_s >= STOPPED_S
        stop if stops.include?(number) && @stopped.nil?
        kill
        prepare_spare
        join
      end
      return unless @stopped

      sleep [STOPPED_S - stopped_for_s, 0].max
      resume
    end

    def stopped_for_s
      (now_us - stop_blow.at_us) / 1e6
    end

    def stop_blow
      @blows.reverse.find { |blow| blow.worker == @stopped.name }
    end

    # Spread over the kills.
    def stop_times
      Array.new(options[:stops]) { |number| ((number + 0.5) * options[:kills] / options[:stops]).floor }
    end

    def kill
      member = pick
      at_us = now_us
      member.process.kill
      @blows << Aftermath::Blow.new(member.name, at_us, held_by(member))
    end

    def stop
      @stopped = pick
      at_us = now_us
      @stopped.process.signal(:STOP)
      @blows << Aftermath::Blow.new(@stopped.name, at_us, held_by(@stopped))
      prepare_spare
      join
    end

    # It is one of those that may be killed, again.
    def resume
      stop_blow.resumed_us = now_us
      @stopped.process.signal(:CONT)
      @members << @stopped
      @stopped = nil
    end

    def pick
      @members.delete_at(@random.rand(@members.size))
    end

    def held_by(member)
      @stock.connection.exec_params(<<~SQL, [member.process.pid]).column_values(0)
        SELECT job.id
        FROM good_jobs AS job
        JOIN good_job_processes AS process ON process.id = job.locked_by_id
        WHERE process.state ->> 'pid' = $1 AND job.finished_at IS NULL
      SQL
    end

    # --- The end

    # What is not done after this is lost.
    def drain
      Drain.new(options[:jobs]) { @stock.finished_count }.wait(now_us / 1e6)
    rescue Drain::Stalled => e
      warn "bin/bench chaos: #{e.message}"
    end

    def judge
      aftermath = Aftermath.new(@journal.runs, @blows)
      lost = lost(aftermath)
      duplicates = aftermath.duplicates_outside_flight
      @examples = { lost: lost, duplicates_outside_flight: duplicates }
      @figures = {
        jobs: options[:jobs], kills: options[:kills], lost: lost.size, overwritten: Watch.new(@stock.connection).overwritten,
        duplicates_outside_flight: duplicates.size, **rescues(aftermath), repeated_runs: aftermath.repeated_runs
      }
    end

    def rescues(aftermath)
      stops, kills = @blows.partition(&:resumed_us)
      times = aftermath.rescue_times_s(kills)
      raise Incorrect, "no worker held a job when it was killed" if times.empty?

      after_stops = aftermath.rescue_times_s(stops)
      times = Series.new(times)
      { rescue_p99_s: times.percentile(99), rescue_p50_s: times.median, rescue_max_s: times.max, rescued: times.values.size,
        **(after_stops.empty? ? {} : { rescue_after_stop_max_s: after_stops.max, rescued_after_stop: after_stops.size }) }
    end

    # Not finished, though it is in the table or should be; or finished, and nobody has run it to the end.
    def lost(aftermath)
      rows = @stock.connection.exec("SELECT id, finished_at IS NOT NULL AS finished FROM good_jobs").to_a
      finished, unfinished = rows.partition { |row| row.fetch("finished") == "t" }.map { |part| part.map { |row| row.fetch("id") } }
      [*unfinished, *aftermath.never_ended(finished), *Array.new(options[:jobs] - rows.size) { "not in the table" }]
    end

    def now_us
      Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
    end
  end
end
