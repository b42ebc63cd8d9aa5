# frozen_string_literal: true

require_relative "enqueuing"
require_relative "journal"

module Bench
  module Inside
    # Jobs of all kinds, and the requests that enqueue them.
    module Traffic
      class Trouble < StandardError; end

      # Says that it runs, and how long after the call that enqueued it.
      class Job < ActiveJob::Base
        around_perform do |job, work|
          called_at_us = job.arguments.first
          Latencies.note(called_at_us) if called_at_us && job.executions == 1
          Journal.note("began", job.job_id)
          work.call
        ensure
          Journal.note("ended", job.job_id)
        end

        def perform(_called_at_us); end
      end

      # Waits, as for another machine.
      class WaitingJob < Job
        def perform(_called_at_us, duration_ms)
          sleep duration_ms / 1000.0
        end
      end

      # Needs the processor.
      class CalculatingJob < Job
        def perform(_called_at_us)
          20_000.times { |number| Math.sqrt(number) }
        end
      end

      # Fails for good.
      class FailingJob < Job
        def perform(_called_at_us)
          raise Trouble, "as always"
        end
      end

      # Fails once.
      class RetriedJob < Job
        retry_on Trouble, wait: 1, attempts: 2

        def perform(_called_at_us)
          raise Trouble, "the first time" if executions == 1
        end
      end

      QUEUES = %w[web mail reports].freeze
      # Of a hundred jobs.
      SHARES = {
        [Job] => 50, [WaitingJob, 10] => 15, [WaitingJob, 100] => 9, [WaitingJob, 1_000] => 1,
        [CalculatingJob] => 15, [FailingJob] => 5, [RetriedJob] => 5
      }.freeze
      KINDS = SHARES.flat_map { |kind, share| [kind] * share }.freeze
      JOBS_OF_A_REQUEST = (1..3)
      BULK = 20
      # One request in so many enqueues many jobs at once, jobs for later, or nothing after all: its transaction is rolled back.
      BULK_SHARE = 50
      LATER_SHARE = 10
      ROLLBACK_SHARE = 20

      class << self
        # Requests from several threads, each with a transaction of its own.
        # @return [Integer] how many jobs were committed
        def run(threads:, per_second:, seconds:)
          visitors = Array.new(threads) do |number|
            random = Random.new(number)
            Thread.new { Pace.new(1000.0 * threads / per_second).map(per_second * seconds / threads) { request(random) }.sum }
          end
          visitors.sum(&:value)
        end

        private

        # @return [Integer] how many jobs it has enqueued
        def request(random)
          committed = 0
          ActiveRecord::Base.transaction do
            jobs = Array.new(random.rand(BULK_SHARE).zero? ? BULK : random.rand(JOBS_OF_A_REQUEST)) { job(random) }
            jobs.size == BULK ? Enqueuing.enqueue_all(jobs) : jobs.each { |job| enqueue(job, random) }
            raise ActiveRecord::Rollback if random.rand(ROLLBACK_SHARE).zero?

            committed = jobs.size
          end
          committed
        end

        def job(random)
          job_class, *arguments = KINDS.sample(random: random)
          job_class.new(Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond), *arguments)
        end

        def enqueue(job, random)
          options = { queue: QUEUES.sample(random: random), priority: random.rand(3) }
          if random.rand(LATER_SHARE).zero?
            options[:wait] = random.rand(1.0..10.0)
            # How long it waits says nothing.
            job.arguments[0] = nil
          end
          job.enqueue(options)
        end
      end
    end

    # How long jobs waited from the call that enqueued them to their first line.
    module Latencies
      @waiting = Thread::Queue.new

      class << self
        def note(called_at_us)
          @waiting << (Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond) - called_at_us)
        end

        # @return [Array<Integer>] µs; given once
        def take
          Array.new(@waiting.size) { @waiting.pop }
        end
      end
    end
  end
end
