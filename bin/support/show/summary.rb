# frozen_string_literal: true

module Show
  # What is said at the end.
  class Summary
    # From when a job of the stream was due until its first line.
    LATENCY = <<~SQL
      SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM demo_runs.created_at - good_jobs.scheduled_at) * 1000)::float8[]
      FROM demo_runs JOIN good_jobs ON good_jobs.id = demo_runs.job_id
      WHERE good_jobs.executions_count = 1 AND good_jobs.queue_name IN (?) AND good_jobs.created_at < ?
    SQL

    # @param stampede_s [Float, nil] seconds from the first of its jobs enqueued to the last finished
    def initialize(herd, verdict, exits, stampede_s:)
      @herd = herd
      @verdict = verdict
      @exits = exits
      @stampede_s = stampede_s
    end

    def print
      puts
      line "Enqueued", @herd.counts.reject { |_kind, count| count.zero? }.map { |kind, count| "#{count} #{kind}" }.join(", ")
      line "Finished", "#{Herd.jobs.finished.count} of #{@herd.size} jobs, #{Herd.jobs.discarded.count} of them with an error"
      print_runs
      line "Started", latency
      line "Stampede", stampede if @stampede_s
      line "Left", @exits.map { |exit| "#{exit.name} after #{exit.seconds.round(1)} s" }.join(", ")
      line "Exactly once", @verdict.faults.empty? ? "yes: no job was lost, none ran twice" : "NO: #{@verdict.faults.join("; ")}"
    end

    # @param checks [Hash{String => Hash{String => Boolean}}] see {Cast#checks}
    def print_acts(checks)
      puts
      checks.each do |title, results|
        wrong = results.reject { |_what, so| so }.keys
        line title, wrong.empty? ? "yes: #{results.keys.join("; ")}" : "NO, not so: #{wrong.join("; ")}"
      end
    end

    private

    def line(title, text)
      puts format("%-16s %s", title, text)
    end

    def print_runs
      DemoRun.by_process_and_queue.group_by { |(process, _queue), _count| process[/\w+/] }.each do |process, rows|
        line "Runs of #{process}", rows.map { |(_process, queue), count| "#{count} #{queue}" }.join(", ")
      end
    end

    def stampede
      jobs = @herd.counts[Herd::STAMPEDE]
      "#{jobs} jobs in #{@stampede_s.round(2)} s: #{(jobs / @stampede_s).round} jobs/s"
    end

    def latency
      sql = DemoRun.sanitize_sql([LATENCY, Herd::QUEUES, @herd.stampede_at || Time.current])
      p50, p99 = PG::TextDecoder::Array.new(elements_type: PG::TextDecoder::Float.new).decode(DemoRun.connection.select_value(sql))
      p50 ? "p50 #{p50.round(1)} ms, p99 #{p99.round(1)} ms after it was due (jobs of the stream)" : "nothing"
    end
  end
end
