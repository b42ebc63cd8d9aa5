# frozen_string_literal: true

require "json"
require_relative "../../bin/support/scratch_database"
require_relative "context"
require_relative "drain"
require_relative "good_job_rs"
require_relative "harvest"
require_relative "journal"
require_relative "measured_process"
require_relative "statistics"

module Bench
  # Everything together at a moderate rate, for as long as one likes: does anything grow that should not? Jobs of all kinds and in several
  # queues, enqueued by threads as web requests do it, run in two workers; what has ended is checked, and cleaned away after a while, as
  # in production. The first quarter of the time is compared with the last.
  class Soak
    WORKERS = 2
    THREADS = 3
    QUEUES = "web:3;-web:3"
    VISITORS = 3
    REQUESTS_PER_SECOND = 15
    SAMPLE_S = 5
    # Until the processes have what they need, and as many jobs are cleaned away as are added.
    WARM_UP_S = 60
    DRIFT_MAX = 0.05

    # What is looked at every few seconds: of both workers together, and of the tables.
    Sample = Struct.new(:rss_mb, :connections, :dead_tuples, :table_mb, :latencies_us)

    # @param minutes [Integer] without the warm-up
    def initialize(minutes)
      @seconds = minutes * 60
      @minutes = minutes
      @queue = GoodJobRs.new
      @samples = []
    end

    # Prints what it found.
    # @return [Integer] the exit status: 1 if a job was lost, or ran too often
    def run
      ScratchDatabase.open("soak") do |database|
        @url = database.url
        @queue.create_tables(@url)
        Journal.open { |journal| work(journal) }
      end
      report
      @figures.fetch_values(:lost, :duplicated, :wrong).sum.zero? ? 0 : 1
    end

    private

    def work(journal)
      @connection = PG.connect(@url)
      @harvest = Harvest.new(@connection)
      with_workers(journal) do
        MeasuredProcess.open(@queue, @url) do |enqueuer|
          enqueuer.tell(:Traffic, :run, threads: VISITORS, per_second: REQUESTS_PER_SECOND, seconds: WARM_UP_S + @seconds)
          watch
          @enqueued = enqueuer.read
        end
        drain
      end
      @harvest.reap_all
      judge(journal)
    ensure
      @connection&.close
    end

    def with_workers(journal)
      @workers = Array.new(WORKERS) { MeasuredProcess.new(@queue, @url) }
      @workers.each_with_index do |worker, index|
        journal.keep(worker, index)
        worker.call(:Log, :discard)
        worker.call(:Worker, :start_idle, threads: THREADS, queues: QUEUES)
      end
      yield
      @workers.each(&:stop)
    ensure
      @workers&.each(&:kill)
    end

    def watch
      started = now
      (1..).each do |number|
        sleep [started + (number * SAMPLE_S) - now, 0].max
        break if now - started > WARM_UP_S + @seconds

        sample = take_sample
        @samples << sample if now - started > WARM_UP_S
        @harvest.reap
      end
    end

    def take_sample
      Sample.new(@workers.sum { |worker| resident_mb(worker) }, count(<<~CONNECTIONS), count(<<~DEAD_TUPLES), count(<<~BYTES) / 1e6, latencies)
        SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'GoodJob'
      CONNECTIONS
        SELECT sum(n_dead_tup) FROM pg_stat_user_tables
      DEAD_TUPLES
        SELECT pg_total_relation_size('good_jobs') + pg_total_relation_size('good_job_executions')
      BYTES
    end

    def resident_mb(worker)
      Integer(File.read("/proc/#{worker.pid}/status")[/^VmRSS:\s+(\d+) kB/, 1]) / 1024.0
    end

    def latencies
      @workers.flat_map { |worker| worker.call(:Latencies, :take) }
    end

    def count(sql)
      Integer(@connection.exec(sql).getvalue(0, 0))
    end

    # What is not done after this is lost.
    def drain
      Drain.new(@enqueued) { @harvest.attempts.size + @queue.finished_count(@connection) }.wait(now)
    rescue Drain::Stalled => e
      warn "bin/soak: #{e.message}"
    end

    def judge(journal)
      runs = journal.runs.map(&:job_id).tally
      attempts = @harvest.attempts
      @figures = {
        jobs: @enqueued, lost: @enqueued - attempts.size + attempts.count { |job_id, count| runs.fetch(job_id, 0) < count },
        duplicated: runs.count { |job_id, count| count > attempts.fetch(job_id, 0) }, wrong: @harvest.faults.size, **drifts
      }
    end

    # --- What has changed

    def drifts
      first, last = quarters
      %i[rss_mb connections dead_tuples table_mb].to_h { |what| [what, compare(mean(first, what), mean(last, what))] }.merge(
        latency_p50_ms: compare(latency_ms(first, 50), latency_ms(last, 50)), latency_p99_ms: compare(latency_ms(first, 99), latency_ms(last, 99))
      )
    end

    def quarters
      size = [@samples.size / 4, 1].max
      [@samples.first(size), @samples.last(size)]
    end

    def compare(first, last)
      { first: first.round(3), last: last.round(3), drift: first.zero? ? last : ((last / first) - 1).round(4) }
    end

    def mean(samples, what)
      samples.sum { |sample| sample[what] }.fdiv(samples.size)
    end

    def latency_ms(samples, percent)
      Series.new(samples.flat_map(&:latencies_us)).percentile(percent) / 1000.0
    end

    # --- What is said of it

    def report
      context = Context.to_h
      puts format("soak of good_job_rs: %d minutes after %d s, %d workers, %d requests/s", @minutes, WARM_UP_S, WORKERS, REQUESTS_PER_SECOND),
           format("Ruby %<ruby>s, Rails %<rails>s, PostgreSQL %<postgres>s, %<cpus>d CPUs, load %<load>s", context), *lines
      puts @harvest.faults.first(5)
      puts JSON.generate(soak: @minutes, figures: @figures, context: context)
    end

    def lines
      plain, drifting = @figures.partition { |_name, figure| figure.is_a?(Integer) }
      [*plain.map { |name, figure| format("  %-16s %10d", name, figure) },
       format("  %-16s %10s %10s %10s", "", "1st quarter", "last", "drift"),
       *drifting.map { |name, figure| drift_line(name, figure) }]
    end

    def drift_line(name, figure)
      much = figure[:drift] > DRIFT_MAX ? format("  more than %d %%", DRIFT_MAX * 100) : ""
      format("  %-16s %10.1f %10.1f %9.1f%%%s", name, figure[:first], figure[:last], figure[:drift] * 100, much)
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
