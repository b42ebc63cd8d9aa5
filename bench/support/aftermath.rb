# frozen_string_literal: true

module Bench
  # What became of jobs after workers were killed or stopped, by what the workers wrote down of their runs.
  class Aftermath
    # What happened to a worker: when, which jobs it held by the tables at that time, and when it went on, if it had only been stopped.
    Blow = Struct.new(:worker, :at_us, :held, :resumed_us)

    # A run that ended so shortly before its worker's end may not have been stored: one flush of outcomes, on a busy machine.
    FLUSH_US = 1_000_000
    # A stopped worker goes on with what it had claimed, for as long as a claim may lie in its buffer.
    BUFFER_US = 1_000_000

    # @param runs [Array<Journal::Run>]
    # @param blows [Array<Blow>]
    def initialize(runs, blows)
      @runs = runs.group_by(&:job_id)
      @blows = blows.sort_by(&:at_us)
      @blows_by_worker = blows.group_by(&:worker)
    end

    # @return [Array<String>] jobs that ran more often than the blows explain
    def duplicates_outside_flight
      @runs.select { |_job_id, runs| runs.count { |run| !in_flight?(run) } > 1 }.keys
    end

    # @return [Integer] how many runs there were beyond the first of each job
    def repeated_runs
      @runs.sum { |_job_id, runs| runs.size - 1 }
    end

    # @param job_ids [Array<String>]
    # @return [Array<String>] those that no worker has run to the end
    def never_ended(job_ids)
      job_ids.reject { |job_id| @runs.fetch(job_id, []).any?(&:ended_us) }
    end

    # From each blow, for each job that the worker held, until it began in another one.
    # @param blows [Array<Blow>] of those that there were
    # @return [Array<Float>] seconds
    def rescue_times_s(blows)
      blows.flat_map { |blow| blow.held.filter_map { |job_id| put_back_us(job_id, blow) }.map { |us| (us - blow.at_us) / 1e6 } }
    end

    private

    def in_flight?(run)
      @blows_by_worker.fetch(run.worker, []).any? { |blow| under_way?(run, blow) || held_over?(run, blow) }
    end

    def under_way?(run, blow)
      run.began_us < blow.at_us && (run.ended_us.nil? || run.ended_us > blow.at_us - FLUSH_US)
    end

    def held_over?(run, blow)
      blow.resumed_us && blow.held.include?(run.job_id) && run.began_us.between?(blow.at_us, blow.resumed_us + BUFFER_US)
    end

    # A job that the next worker held when it was struck itself had been put back by then.
    def put_back_us(job_id, blow)
      began = @runs.fetch(job_id, []).select { |run| run.began_us > blow.at_us && run.worker != blow.worker }.map(&:began_us)
      held_again = @blows.select { |later| later.at_us > blow.at_us && later.worker != blow.worker && later.held.include?(job_id) }.map(&:at_us)
      (began + held_again).min
    end
  end
end
