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
      FROM (
        SELECT *, CASE job_class WHEN 'TimidMouseJob' THEN 2 ELSE 1 END AS attempts_due FROM good_jobs WHERE queue_name IN (?)
      ) AS jobs
      LEFT JOIN (
        SELECT job_id, count(*) AS runs, count(DISTINCT attempt) AS attempts FROM demo_runs GROUP BY job_id
      ) AS runs ON runs.job_id = jobs.id
    SQL

    # Of the acts' jobs, too. The sleepwalker's first attempt is cut short, and made again.
    REPEATED = <<~SQL
      SELECT count(*) FROM (
        SELECT FROM demo_runs JOIN good_jobs ON good_jobs.id = demo_runs.job_id
        WHERE job_class <> 'SleepwalkerJob' GROUP BY job_id, attempt HAVING count(*) > 1
      ) AS repeated
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
      runs = DemoRun.connection.select_one(DemoRun.sanitize_sql([RUNS, Herd::QUEUES]))
      faults = {
        "were enqueued and are not there" => @herd.size - Herd.jobs.count,
        "ran more often than they should" => [runs["repeated"], DemoRun.connection.select_value(REPEATED)].max
      }
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
