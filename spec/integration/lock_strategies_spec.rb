# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "Lock strategies", :database, :integration do
  # A session such as that of a worker of GoodJob in :advisory, which looks at the jobs' advisory locks and at nothing else.
  def other_session
    connection = PG.connect(SpecDatabase.url)
    yield connection
  ensure
    connection&.close
  end

  let(:key) { "('x' || substr(md5('good_jobs-' || $1::text), 1, 16))::bit(64)::int8" }

  def try_lock(connection, job)
    connection.exec_params("SELECT pg_try_advisory_lock(#{key})", [job.job_id]).getvalue(0, 0) == "t"
  end

  def unlock(connection, job)
    connection.exec_params("SELECT pg_advisory_unlock(#{key})", [job.job_id])
  end

  { hybrid: "hybrid", advisory: "advisory" }.each do |strategy, lock_type|
    describe strategy.inspect do
      it "holds the job's advisory lock while the job runs, says so in the row, and gives it up" do
        job = LatchedJob.perform_later(latch.path)
        start_capsule(lock_strategy: strategy)
        wait_for_event(job, "started")
        expect(row(job)).to have_attributes(lock_type: lock_type, locked_by_id: capsules.last.process_id)
        other_session { |connection| expect(try_lock(connection, job)).to be false }
        latch.open
        wait_until_finished(job)
        other_session { |connection| wait_until("the lock to be free") { try_lock(connection, job) } }
      end

      it "leaves a job alone whose advisory lock somebody else holds" do
        job = RecordJob.perform_later
        other_session do |connection|
          expect(try_lock(connection, job)).to be true
          start_capsule(lock_strategy: strategy, poll_interval: 0.1)
          wait_until_finished(RecordJob.perform_later)
          expect(row(job)).to have_attributes(finished_at: nil, locked_by_id: nil)
          unlock(connection, job)
          wait_until_finished(job)
        end
      end

      it "locks no more jobs than it takes" do
        ["*", "+mice,default"].each do |queues|
          job = LatchedJob.set(priority: -1).perform_later(latch.path)
          ActiveJob::Base.queue_adapter.enqueue_all(Array.new(300) { RecordJob.new })
          capsule = start_capsule(lock_strategy: strategy, max_threads: 1, prefetch: false, queues: queues)
          wait_for_event(job, "started")
          expect(SpecDatabase.held_job_locks).to eq 1
          capsule.shutdown(timeout: 0)
          GoodJob::Job.delete_all
        end
      end

      it "gets past jobs that others have locked, however few threads it has" do
        jobs = Array.new(3) { RecordJob.set(queue: "mice").perform_later }
        jobs << RecordJob.perform_later
        other_session do |connection|
          jobs.first(3).each { |job| expect(try_lock(connection, job)).to be true }
          ["*", "+mice,default", "-cats"].each do |queues|
            capsule = start_capsule(lock_strategy: strategy, max_threads: 1, queues: queues)
            wait_until_finished(jobs.last)
            2.times { wait_until_finished(RecordJob.perform_later) }
            expect(jobs.first(3).map { |job| row(job) }).to all(have_attributes(finished_at: nil, locked_by_id: nil, performed_at: nil))
            capsule.shutdown
            jobs << RecordJob.perform_later
          end
        end
      end

      it "takes the locks of running jobs again when the session is lost, as soon as nobody else has them" do
        job = LatchedJob.perform_later(latch.path)
        start_capsule(lock_strategy: strategy)
        wait_for_event(job, "started")
        other_session do |connection|
          # Waits for the lock, and so is the next that has it.
          connection.send_query_params("SELECT pg_advisory_lock(#{key})", [job.job_id])
          locks = "FROM pg_locks WHERE locktype = 'advisory' AND (classid::int8 << 32 | objid::int8) = #{key}"
          wait_until("it to wait") { Postgres.execute(SpecDatabase.url, "SELECT #{locks} AND NOT granted", [job.job_id]).any? }
          ended = Postgres.execute(SpecDatabase.url, "SELECT pg_terminate_backend(pid) #{locks} AND granted", [job.job_id])
          expect(ended.size).to eq 1
          connection.get_last_result
          wait_until("somebody to have looked for the lock") { GoodJob::Job.connection.select_value(<<~SQL).positive? }
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'GoodJob' AND query LIKE '%wanted AS MATERIALIZED%'
          SQL
          unlock(connection, job)
          wait_until("the lock to be held again") { !try_lock(connection, job) || (unlock(connection, job) && false) }
        end
        latch.open
        wait_until_finished(job)
        other_session { |connection| wait_until("the lock to be free") { try_lock(connection, job) } }
      end

      it "keeps no lock of jobs that have ended or retried" do
        stub_const("AgainJob", Class.new(ActiveJob::Base) do
          retry_on IOError, wait: 0, attempts: 3
          def perform
            raise IOError if executions < 3
          end
        end)
        jobs = Array.new(20) { RecordJob.perform_later } + Array.new(5) { AgainJob.perform_later }
        start_capsule(lock_strategy: strategy)
        wait_until_finished(*jobs)
        wait_until("the jobs' locks to be free") { SpecDatabase.held_job_locks.zero? }
        expect(executions(jobs.last).size).to eq 3
      end
    end
  end

  it "takes no lock of a job in :skiplocked" do
    job = LatchedJob.perform_later(latch.path)
    start_capsule(lock_strategy: :skiplocked)
    wait_for_event(job, "started")
    expect(row(job).lock_type).to eq "skiplocked"
    other_session { |connection| expect(try_lock(connection, job)).to be true }
    latch.open
    wait_until_finished(job)
  end

  describe "tables of an older GoodJob" do
    before do
      execute("ALTER TABLE good_jobs DROP COLUMN lock_type; ALTER TABLE good_job_batches DROP COLUMN jobs_finished_at")
      forget_columns
    end

    # A runtime that still advances a batch would wait for the one table, and be waited for with the other.
    after do
      capsules.each { |capsule| capsule.shutdown(timeout: 10) }
      execute("ALTER TABLE good_jobs ADD COLUMN lock_type smallint; ALTER TABLE good_job_batches ADD COLUMN jobs_finished_at timestamp(6)")
      forget_columns
    end

    def execute(sql)
      ActiveRecord::Base.connection.execute(sql)
    end

    def forget_columns
      [GoodJob::Job, GoodJob::BatchRecord].each(&:reset_column_information)
      ActiveRecord::Base.connection_pool.disconnect!
      GoodJob::Statements.instance_variable_get(:@texts).clear
    end

    it "do, with advisory locks" do
      job = LatchedJob.perform_later(latch.path)
      start_capsule
      wait_for_event(job, "started")
      other_session { |connection| expect(try_lock(connection, job)).to be false }
      expect(GoodJob::Job.effective_lock_strategy).to eq :advisory
      latch.open
      wait_until_finished(job)
    end

    it "do for a job that a caller performs" do
      job = RecordJob.perform_later
      expect(GoodJob::Job.perform_with_skip_locked(lock_id: SecureRandom.uuid)).to be_succeeded
      expect([row(job).status, events(job)]).to eq [:succeeded, ["ran"]]
    end

    it "do for batches" do
      GlobalID.app ||= "spec"
      stub_const("TellJob", Class.new(ActiveJob::Base) { def perform(batch, context) = SpecRun.record(self, "#{context[:event]} #{batch.jobs_finished?}") })
      batch = GoodJob::Batch.enqueue([RecordJob.new], on_finish: "TellJob")
      start_capsule
      wait_until("the callback to have run") { events.include?("finish true") }
      expect(batch.reload).to have_attributes(jobs_finished?: true, finished?: true)
    end

    it "do for retries, failures and jobs that leave no rows" do
      stub_const("AgainJob", Class.new(ActiveJob::Base) do
        retry_on IOError, wait: 0, attempts: 2
        def perform = raise(IOError)
      end)
      job = AgainJob.perform_later
      run_jobs
      expect(row(job)).to have_attributes(status: :discarded, executions_count: 2)
      GoodJob.preserve_job_records = false
      RecordJob.perform_later
      run_jobs
      expect(GoodJob::Job.count).to eq 1
    end

    it "do in the inline mode" do
      use_adapter(:inline)
      job = RecordJob.perform_later
      expect(row(job)).to be_finished
    end

    it "do for perform_inline, which leaves alone what others have locked" do
      taken, free = Array.new(2) { RecordJob.perform_later }
      other_session do |connection|
        try_lock(connection, taken)
        expect(GoodJob.perform_inline).to eq 1
      end
      expect([taken, free].map { |job| row(job).finished? }).to eq [false, true]
    end
  end
end
