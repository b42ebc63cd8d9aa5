# frozen_string_literal: true

module Show
  # Whether every job ran as often as it should, by what the jobs themselves wrote, and whether the processes left as they should.
  class Verdict
    # What the queue holds beside what the jobs wrote. A job that retries once has two attempts, any other has one.
    RUNS = <<~SQL
      SELECT count(*) FILTER (WHERE finished_at IS NULL) AS unfinished,
             count(*) FILTER (WHERE COALESCE(runs.attempts, 0) < attempts_due) AS missed,
             count(*) FILTER (WHERE runs.runs > attempts_due OR runs.runs > runs.attempts) AS repeated,
             count(*) FILTER (WHERE finished_at IS NOT NULL AND (error IS NOT NULL) <> (job_class = 'StubbornElephantJob')) AS misjudged
      FROM (SELECT *, CASE job_class WHEN 'TimidMouseJob' THEN 2 ELSE 1 END AS attempts_due FROM good_jobs) AS jobs
      LEFT JOIN (
        SELECT job_id, count(*) AS runs, count(DISTINCT attempt) AS attempts FROM demo_runs GROUP BY job_id
      ) AS runs ON runs.job_id = jobs.id
    SQL

    # @param herd [Herd]
    # @param exits [Array<Stage::Exit>]
    # @param complete [Boolean] whether all jobs were given the time to finish
    def initialize(herd, exits, complete:)
      @herd = herd
      @exits = exits
      @complete = complete
    end

    # @return [Array<String>] empty: all is well
    def faults
      @faults ||= [*job_faults, *process_faults]
    end

    private

    def job_faults
      runs = GoodJob::Job.connection.select_one(RUNS)
      vanished = @herd.size - GoodJob::Job.count
      faults = { "were enqueued and are not there" => vanished, "ran more often than they should" => runs["repeated"] }
      if @complete
        faults.update("never finished" => runs["unfinished"], "did not run as often as they should" => runs["missed"],
                      "ended with an error that they did not have, or without the one that they had" => runs["misjudged"])
      end
      faults.reject { |_what, count| count.zero? }.map { |what, count| "#{count} jobs #{what}" }
    end

    def process_faults
      unclean = @exits.reject(&:clean?).map { |exit| "the #{exit.name} process did not leave cleanly: #{exit.status || "it had to be killed"}" }
      left = GoodJob::Process.count
      held = GoodJob::Job.where.not(locked_by_id: nil).count
      unclean << "#{left} processes left without taking leave" if left.positive?
      unclean << "#{held} jobs are held by processes that have left" if held.positive?
      unclean
    end
  end
end
