# frozen_string_literal: true

require "tmpdir"

module Bench
  # What ran in which worker, as the workers wrote it down themselves ({Inside::Journal}), whatever became of them.
  class Journal
    # One execution of a job. Times are µs of the clock that all processes of a machine share; ended_us is nil if it never did.
    Run = Struct.new(:job_id, :worker, :began_us, :ended_us)

    # @yieldparam journal [Journal] whose files go with the block
    def self.open
      Dir.mktmpdir("bench_journal") { |directory| yield new(directory) }
    end

    def initialize(directory)
      @directory = directory
    end

    # @param process [MeasuredProcess] writes from now on
    # @param worker [Integer] its name in {#runs}
    def keep(process, worker)
      process.call(:Journal, :open, path: File.join(@directory, worker.to_s))
    end

    # @return [Array<Run>]
    def runs
      Dir.children(@directory).flat_map { |file| runs_of(Integer(file), File.foreach(File.join(@directory, file), chomp: true)) }
    end

    private

    def runs_of(worker, lines)
      open = {}
      lines.filter_map do |line|
        event, job_id, us = line.split
        next open.delete(job_id).tap { |run| run.ended_us = Integer(us) } && nil if event == "ended"

        open[job_id] = Run.new(job_id, worker, Integer(us), nil)
      end
    end
  end
end
