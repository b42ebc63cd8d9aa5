# frozen_string_literal: true

require_relative "../support/aftermath"
require_relative "../support/drain"
require_relative "../support/journal"
require_relative "../support/own_server"
require_relative "../support/scenario"
require_relative "../support/stock"
require_relative "../support/watch"

module Bench
  # What a database that goes away does to jobs. Under load, Postgres is shut down fast and immediately, and stays away for a while; and
  # all sessions are cut. By the tables and by what the workers wrote down themselves: is every job done, once; and how soon after
  # the database is back has every worker claimed again.
  class Outage < Scenario
    # So long that none is claimed in advance: whatever begins after the outage was claimed after it.
    DURATION_MS = 50
    # Long enough that every thread works.
    LOAD_S = 2
    RESUME_LIMIT_S = 60
    LOOK_S = 0.005

    summary "restart Postgres, fast and immediate, and cut all connections under load; jobs lost, seconds until every worker claims again"
    option :workers, 2, "worker processes", quick: 2
    option :threads, 5, "threads of each"
    option :down_s, 3, "seconds without the database", quick: 1
    option :repeats, 3, "outages of each kind", quick: 1
    goals lost: "≤ 0", repeated: "≤ 0", overwritten: "≤ 0", resume_s: "≤ 5"

    # On a server of its own.
    def run
      OwnServer.open do |server|
        @server = server
        @url = server.create_database("bench")
        queue.create_tables(@url)
        measure
      end
    end

    # Jobs lost are figures; that there are any is an error all the same.
    def faults
      @figures.slice(:lost, :repeated, :overwritten).select { |_what, number| number.positive? }.map { |what, number| "#{number} jobs #{what}" }
    end

    private

    def measure
      @added = 0
      with_stock { |stock| Watch.new(stock.connection).start }
      Journal.open do |journal|
        with_workers(journal) { @times = Interleaving.run(options[:repeats]) { outages } }
        judge(journal)
      end
    end

    def with_workers(journal)
      processes = Array.new(options[:workers]) { MeasuredProcess.new(queue, @url) }
      processes.each_with_index do |process, index|
        journal.keep(process, index)
        process.call(:Worker, :start_idle, threads: options[:threads])
      end
      MeasuredProcess.open(queue, @url) { |enqueuer| with_stock { |stock| @sample = stock.jobs(enqueuer, :JournaledJob, DURATION_MS).sample } }
      yield
      drain
      processes.each(&:stop)
    ensure
      processes&.each(&:kill)
    end

    # @return [Hash{Symbol => Float}] seconds from the database's return until every worker has claimed again, for each kind of outage
    def outages
      { fast: -> { restart(:fast) }, immediate: -> { restart(:immediate) }, cut: -> { cut } }.to_h do |kind, outage|
        top_up
        sleep LOAD_S
        outage.call
        [:"resume_#{kind}_s", resumed_after_s(now)]
      end
    end

    # Enough until the end of the outage after the next.
    def top_up
      per_second = options[:workers] * options[:threads] * 1000 / DURATION_MS
      with_stock do |stock|
        wanted = (LOAD_S + options[:down_s] + 5) * per_second
        missing = wanted - queue.waiting_count(stock.connection)
        next unless missing.positive?

        ManyJobs.new(stock.connection, @sample).ready(missing)
        @added += missing
      end
    end

    def restart(how)
      @server.stop(how)
      sleep options[:down_s]
      @server.start
    end

    def cut
      with_stock { |stock| stock.connection.exec(<<~SQL) }
        WITH others AS MATERIALIZED (
          SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        )
        SELECT pg_terminate_backend(pid) FROM others
      SQL
    end

    # By runs that are on record: they were claimed after the time, run, and stored.
    def resumed_after_s(back_at)
      with_stock do |stock|
        since = stock.connection.exec("SELECT LOCALTIMESTAMP").getvalue(0, 0)
        until workers_since(stock, since) >= options[:workers]
          raise Drain::Stalled, "not every worker works #{RESUME_LIMIT_S} s after the outage" if now - back_at > RESUME_LIMIT_S

          sleep LOOK_S
        end
      end
      now - back_at
    end

    def workers_since(stock, time)
      Integer(stock.connection.exec_params(<<~SQL, [time]).getvalue(0, 0))
        SELECT count(DISTINCT process_id) FROM good_job_executions WHERE created_at > $1::timestamp
      SQL
    end

    # What is not done after this is lost.
    def drain
      with_stock { |stock| Drain.new(@added) { stock.finished_count }.wait(now) }
    rescue Drain::Stalled => e
      warn "bin/bench outage: #{e.message}"
    end

    def judge(journal)
      aftermath = Aftermath.new(journal.runs, [])
      with_stock do |stock|
        finished = stock.connection.exec("SELECT id FROM good_jobs WHERE finished_at IS NOT NULL").column_values(0)
        @figures = {
          jobs: @added, lost: @added - finished.size + aftermath.never_ended(finished).size, repeated: aftermath.repeated_runs,
          overwritten: Watch.new(stock.connection).overwritten, resume_s: @times.values.map(&:max).max, **@times
        }
      end
    end

    # Anew for each look: no connection survives an outage.
    def with_stock(&block)
      Stock.at(queue, @url, &block)
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
