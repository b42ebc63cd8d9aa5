# frozen_string_literal: true

require_relative "../support/drain"
require_relative "../support/scenario"

module Bench
  # How long it takes from the call of perform_later in one process to the first line of perform in another, where an idle worker waits;
  # beside what Postgres itself takes for the least that has to be done ({Inside::RawTrip}).
  class Latency < Scenario
    summary "enqueue to an idle worker in another process; call of perform_later to first line of perform, and its ratio to the raw trip"
    option :threads, 5, "threads of the worker"
    option :jobs, 1_000, "jobs to enqueue", quick: 20
    option :interval_ms, 20, "ms between two jobs"
    option :repeats, 5, "turns in which queue and raw trip alternate", quick: 1
    goals ratio_p50: "≤ 1.5", ratio_p99: "≤ 2.5"

    START_LIMIT_S = 10
    # Not counted: what is done only once is done then.
    WARM_UP_JOBS = 10

    private

    def measure
      ScratchDatabase.open("bench_raw") do |raw_database|
        raw_queue = GoodJobRs.new
        raw_queue.create_tables(raw_database.url)
        process do |worker|
          process do |enqueuer|
            MeasuredProcess.open(raw_queue, raw_database.url) do |receiver|
              MeasuredProcess.open(raw_queue, raw_database.url) { |sender| compare(worker, enqueuer, receiver, sender) }
            end
          end
        end
      end
    end

    def compare(worker, enqueuer, receiver, sender)
      worker.call(:Worker, :start_idle, threads: options[:threads])
      receiver.call(:RawTrip, :listen)
      queue_trips(worker, enqueuer, WARM_UP_JOBS)
      raw_trips(receiver, sender, WARM_UP_JOBS)
      all = { queue: [], raw: [] }
      figures = Interleaving.run(options[:repeats]) do
        latencies = { queue: queue_trips(worker, enqueuer, turn_size), raw: raw_trips(receiver, sender, turn_size) }
        latencies.each { |which, values| all[which].concat(values) }
        figures_of(latencies)
      end
      check
      figures.merge(tails(all))
    end

    # @return [Array<Float>] ms
    def queue_trips(worker, enqueuer, count)
      calls = enqueuer.call(:Enqueuing, :steadily, count: count, interval_ms: options[:interval_ms]).to_h
      starts = starts_of(worker, count)
      expect_none(["the jobs that started are not those that were enqueued, once each"]) unless starts.map(&:first).sort == calls.keys.sort
      starts.map { |job_id, started_at| (started_at - calls.fetch(job_id)) / 1000.0 }
    end

    def starts_of(worker, count)
      starts = []
      deadline = now + START_LIMIT_S
      starts.concat(worker.call(:Worker, :starts)) until starts.size >= count || now > deadline
      starts
    end

    # @return [Array<Float>] ms
    def raw_trips(receiver, sender, count)
      receiver.tell(:RawTrip, :receive, count: count)
      calls = sender.call(:RawTrip, :announce, count: count, interval_ms: options[:interval_ms])
      receiver.read.zip(calls).map { |claimed_at, called_at| (claimed_at - called_at) / 1000.0 }
    end

    def figures_of(latencies)
      queue, raw = latencies.values_at(:queue, :raw).map { |values| Series.new(values).median }
      { p50_ms: queue, raw_p50_ms: raw, ratio_p50: queue / raw }
    end

    # Of all turns together: one turn has too few for it.
    def tails(all)
      queue, raw = all.values_at(:queue, :raw).map { |values| Series.new(values).percentile(99) }
      { p99_ms: queue, raw_p99_ms: raw, ratio_p99: queue / raw }
    end

    def check
      connection = PG.connect(@database.url)
      jobs = WARM_UP_JOBS + (turn_size * options[:repeats])
      Drain.new(jobs) { queue.finished_count(connection) }.wait(now)
      expect_none queue.faults(connection, jobs)
    ensure
      connection&.close
    end

    def turn_size
      [options[:jobs] / options[:repeats], 1].max
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
