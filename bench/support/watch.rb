# frozen_string_literal: true

module Bench
  # Watches over the state of jobs that have ended: whoever changes one afterwards has overwritten another's work.
  class Watch
    TABLE = "bench_overwritten"

    # @param connection [PG::Connection]
    def initialize(connection)
      @connection = connection
    end

    # From now on every change of a job that has ended, and of a recorded execution, is noted, whoever makes it.
    def start
      @connection.exec(<<~SQL)
        CREATE TABLE #{TABLE} (id uuid NOT NULL);
        CREATE FUNCTION #{TABLE}() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN INSERT INTO #{TABLE} VALUES (OLD.id); RETURN NULL; END $$;
        CREATE TRIGGER #{TABLE} AFTER UPDATE OR DELETE ON good_jobs FOR EACH ROW
          WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION #{TABLE}();
        CREATE TRIGGER #{TABLE} AFTER UPDATE OR DELETE ON good_job_executions FOR EACH ROW EXECUTE FUNCTION #{TABLE}();
      SQL
    end

    # @return [Integer] changes that were noted, and jobs whose rows are not what their last executions made of them
    def overwritten
      Integer(@connection.exec(<<~SQL).getvalue(0, 0))
        SELECT (SELECT count(*) FROM #{TABLE}) +
               (SELECT count(*)
                FROM good_jobs AS job
                LEFT JOIN LATERAL (
                  SELECT count(*) AS executions, count(*) FILTER (WHERE error IS NULL) AS successes,
                         max(created_at) AS performed_at, max(finished_at) AS finished_at
                  FROM good_job_executions
                  WHERE active_job_id = job.id
                ) AS run ON TRUE
                WHERE job.finished_at IS NOT NULL
                  AND (run.successes, run.executions, run.performed_at, run.finished_at)
                      IS DISTINCT FROM (1, job.executions_count::int8, job.performed_at, job.finished_at))
      SQL
    end
  end
end
