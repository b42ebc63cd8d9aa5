# frozen_string_literal: true

require_relative "../support/integration"
require_relative "../support/listener"

RSpec.describe "The inline mode", :database, :integration do
  before do
    use_adapter(:inline)
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      retry_on(IOError, wait: 0, attempts: 3)

      class << self
        attr_accessor :action
      end

      def perform(*)
        instance_exec(&self.class.action)
      end
    end)
  end

  let(:runs) { [] }

  def enqueue(options = {}, &action)
    MouseJob.action = action
    MouseJob.set(options).perform_later
  end

  it "runs a job where and when it is enqueued, and keeps its rows" do
    thread = nil
    job = enqueue { thread = Thread.current }
    expect(thread).to be Thread.current
    expect(row(job)).to have_attributes(finished_at: be_present, error: nil, locked_by_id: nil, executions_count: 1)
    expect(executions(job)).to match [have_attributes(error: nil, finished_at: be_present)]
  end

  it "raises what a job does not handle, and stores it" do
    expect { enqueue { raise "no cheese" } }.to raise_error(RuntimeError, "no cheese")
    expect(GoodJob::Job.first).to have_attributes(error: "RuntimeError: no cheese", error_event: "unhandled", finished_at: be_present)
  end

  it "runs an immediate retry at once, in the same row" do
    noted = runs
    job = enqueue { noted << executions and (raise IOError if executions < 3) }
    expect(runs).to eq [1, 2, 3]
    expect(executions(job).map(&:error_event)).to eq ["retried", "retried", nil]
    expect(row(job)).to be_succeeded
  end

  it "runs jobs that jobs enqueue" do
    noted = runs
    enqueue do
      noted << self.class.action
      self.class.action = proc { noted << :inner }
      MouseJob.perform_later
    end
    expect(runs.last).to eq :inner
    expect(GoodJob::Job.succeeded.count).to eq 2
  end

  it "runs at once in a transaction, and leaves nothing when that is rolled back" do
    noted = runs
    ActiveRecord::Base.transaction do
      enqueue { noted << GoodJob::Job.count }
      expect(runs).to eq [1]
      raise ActiveRecord::Rollback
    end
    expect([GoodJob::Job.count, GoodJob::Execution.count]).to eq [0, 0]
  end

  it "announces only what it leaves to others" do
    later = nil
    heard = Listener.during(SpecDatabase.url) do
      enqueue { nil }
      later = enqueue({ wait: 60, queue: "later" }) { nil }
    end
    expect(heard.map { |payload| payload["queue_name"] }).to eq ["later"]
    expect(row(later).performed_at).to be_nil
  end

  it "leaves to perform_inline what Job#retry_job puts back" do
    noted = runs
    expect { enqueue { noted << executions and (raise "no cheese" if executions == 1) } }.to raise_error(RuntimeError)
    GoodJob::Job.first.retry_job
    expect(runs).to eq [1]
    expect(GoodJob.perform_inline).to eq 1
    expect(runs).to eq [1, 2]
  end

  it "goes by the caller's clock: what is not due waits for perform_inline and time travel" do
    noted = runs
    start = Time.utc(2035, 6, 1, 12)
    travel_to(start)
    job = enqueue({ wait: 1.hour }) { noted << Time.current }
    expect(GoodJob.perform_inline).to eq 0
    travel_to(start + 61.minutes)
    expect(GoodJob.perform_inline).to eq 1
    expect(runs).to eq [start + 61.minutes]
    expect(row(job)).to have_attributes(created_at: start, scheduled_at: start + 1.hour, performed_at: start + 61.minutes,
                                        finished_at: start + 61.minutes)
  end

  describe "perform_inline" do
    before { use_adapter(:external) }

    def enqueue_into(*queues)
      queues.each { |queue| RecordJob.set(queue: queue).perform_later(queue) }
    end

    it "runs what is due, in order, until there is nothing, and counts" do
      RecordJob.set(priority: 2).perform_later("second")
      RecordJob.set(priority: 1).perform_later("first")
      RecordJob.set(wait: 60).perform_later("later")
      expect(GoodJob.perform_inline).to eq 2
      expect(events).to eq %w[first second]
    end

    it "runs the jobs of the queues it is told, in their order where there is a plus" do
      enqueue_into("cats", "mice", "rats", "mice")
      expect(GoodJob.perform_inline("+mice,rats")).to eq 3
      expect(GoodJob.perform_inline("-cats")).to eq 0
      expect(events).to eq %w[mice mice rats]
      expect { GoodJob.perform_inline("mice;cats") }.to raise_error(ArgumentError, /"mice;cats" has 2 pools/)
    end

    it "runs no more than its limit" do
      enqueue_into("a", "b", "c")
      expect(GoodJob.perform_inline("*", limit: 2)).to eq 2
      expect(GoodJob.perform_inline(limit: 5)).to eq 1
    end

    it "raises what a job does not handle, and leaves those after it" do
      enqueue { raise "no cheese" }
      rest = RecordJob.perform_later
      expect { GoodJob.perform_inline }.to raise_error(RuntimeError, "no cheese")
      expect(row(rest).performed_at).to be_nil
      expect(GoodJob.perform_inline).to eq 1
    end

    # A session such as that of a worker of GoodJob in :advisory, which has a job by its advisory lock and need not say so in the row.
    describe "beside a session that has jobs by their advisory locks" do
      around do |example|
        @other = PG.connect(SpecDatabase.url)
        @other.exec("SET lock_timeout = '10s'")
        # A claim that waits for such a lock is to fail, not to hang.
        ActiveRecord::Base.connection.execute("SET lock_timeout = '10s'")
        example.run
      ensure
        ActiveRecord::Base.connection.execute("RESET lock_timeout")
        @other.close
      end

      # @return [Array<Boolean>] whether it has got the jobs' locks
      def take(*jobs)
        jobs.map do |job|
          @other.exec_params("SELECT pg_try_advisory_lock(('x' || substr(md5($1), 1, 16))::bit(64)::int8)", ["good_jobs-#{job.job_id}"]).getvalue(0, 0) == "t"
        end
      end

      def give_up_all
        @other.exec("SELECT pg_advisory_unlock_all()")
      end

      def enqueue_named(*names, queue: "mice")
        names.map { |name| RecordJob.set(queue: queue).perform_later(name) }
      end

      it "passes over those jobs, which stay as they are, and runs all others" do
        taken, free, taken_too, free_too = enqueue_named("taken", "free", "taken too", "free too")
        take(taken, taken_too)
        ["*", "+cats,mice", "-cats"].each do |queues|
          enqueue_named(queues)
          expect(GoodJob.perform_inline(queues)).to eq(queues == "*" ? 3 : 1)
        end
        expect(events).to eq ["free", "free too", "*", "+cats,mice", "-cats"]
        expect([row(free), row(free_too)]).to all(be_succeeded)
        expect([row(taken), row(taken_too)]).to all(have_attributes(performed_at: nil, finished_at: nil, locked_by_id: nil, executions_count: 0))
        give_up_all
        expect(GoodJob.perform_inline).to eq 2
        expect(SpecDatabase.held_job_locks).to eq 0
      end

      # What happens between the claim and the job itself.
      def while_claiming(action, sql)
        SpecRun.connection.execute(<<~SQL)
          CREATE FUNCTION interfere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN #{sql}; RETURN NEW; END $$;
          CREATE TRIGGER interfere #{action} UPDATE ON good_jobs FOR EACH ROW WHEN (OLD.locked_by_id IS NULL AND NEW.locked_by_id IS NOT NULL)
          EXECUTE FUNCTION interfere()
        SQL
        yield
      ensure
        SpecRun.connection.execute("DROP FUNCTION IF EXISTS interfere CASCADE")
      end

      it "leaves no lock behind where the claim fails" do
        job, = enqueue_named("mouse")
        while_claiming("AFTER", "RAISE 'no claim'") do
          expect { GoodJob.perform_inline }.to raise_error(ActiveRecord::StatementInvalid, /no claim/)
          expect { row(job).perform(lock_id: SecureRandom.uuid) }.to raise_error(ActiveRecord::StatementInvalid, /no claim/)
        end
        expect([take(job), row(job).locked_by_id]).to eq [[true], nil]
      end

      {
        "perform_inline" => -> { GoodJob.perform_inline },
        "Job#perform" => -> { GoodJob::Job.first.perform(lock_id: SecureRandom.uuid) },
        "Job.perform_with_lock" => -> { GoodJob::Job.perform_with_lock(lock_id: SecureRandom.uuid) }
      }.each do |name, claim|
        it "gives the job back where the thread is interrupted while #{name} claims" do
          job, = enqueue_named("mouse")
          claiming = while_claiming("AFTER", "PERFORM pg_advisory_xact_lock_shared(42)") do
            @other.exec("SELECT pg_advisory_lock(42)")
            thread = Thread.new(&claim)
            thread.report_on_exception = false
            wait_until("the claim to wait") { Postgres.execute(SpecDatabase.url, <<~SQL).any? }
              SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            SQL
            thread.raise(IOError, "interrupted")
            @other.exec("SELECT pg_advisory_unlock(42)")
            thread.join(10) rescue thread # rubocop:disable Style/RescueModifier
          end
          expect { claiming.value }.to raise_error(IOError, "interrupted")
          expect([take(job), events]).to eq [[true], []]
          expect(row(job)).to have_attributes(locked_by_id: nil, performed_at: nil, executions_count: 0)
        end
      end

      it "counts what it runs, and not what it passes over, by its limit" do
        take(*enqueue_named("taken", "taken too"))
        enqueue_named("a", "b", "c")
        expect(GoodJob.perform_inline(limit: 2)).to eq 2
        expect(events).to eq %w[a b]
      end

      it "does not run a job again that ended there" do
        job, = enqueue_named("once")
        take(job)
        expect(GoodJob.perform_inline).to eq 0
        @other.exec_params("UPDATE good_jobs SET performed_at = now(), finished_at = now() WHERE id = $1", [job.job_id])
        give_up_all
        expect(GoodJob.perform_inline).to eq 0
        expect(events).to eq []
      end

      it "has the lock of the job that runs, from the claim until the end of the run, be it an error's" do
        seen = []
        job = enqueue { seen << "in #{SpecDatabase.held_job_locks}" and raise "no cheese" }
        expect { GoodJob.perform_inline }.to raise_error("no cheese")
        expect([seen, take(job)]).to eq [["in 1"], [true]]
      end

      it "gives a job's lock up with its last attempt, in the inline mode too" do
        use_adapter(:inline)
        seen = []
        job = enqueue { seen << SpecDatabase.held_job_locks and (raise IOError if executions < 3) }
        expect([seen, take(job)]).to eq [[1, 1, 1], [true]]
      end

      it "passes over them in a transaction as well, keeps nobody from them, and has the others until its end" do
        taken, free = enqueue_named("taken", "free")
        take(taken)
        ActiveRecord::Base.transaction do
          expect(GoodJob.perform_inline).to eq 1
          expect(take(free)).to eq [false]
          @other.exec_params("UPDATE good_jobs SET performed_at = now() WHERE id = $1", [taken.job_id])
          raise ActiveRecord::Rollback
        end
        expect(take(free)).to eq [true]
        expect([events, row(free).performed_at, row(taken).performed_at]).to match [[], nil, be_present]
      end

      it "gives up what it had where the transaction is undone in part, by a job's own error" do
        stub_const("DividingJob", Class.new(ActiveJob::Base) { define_method(:perform) { SpecRun.connection.execute("SELECT 1 / 0") } })
        job = DividingJob.perform_later
        ActiveRecord::Base.transaction do
          undone = -> { ActiveRecord::Base.transaction(requires_new: true) { GoodJob.perform_inline } }
          expect(&undone).to raise_error(ActiveRecord::StatementInvalid, /division by zero/)
          expect(take(job)).to eq [true]
        end
        expect(row(job)).to have_attributes(performed_at: nil, locked_by_id: nil)
      end

      it "runs a job whose lock its own session has, and leaves the lock to whoever took it" do
        job, = enqueue_named("own")
        row(job).with_advisory_lock do
          expect(GoodJob.perform_inline).to eq 1
          expect(take(job)).to eq [false]
        end
        expect(take(job)).to eq [true]
      end
    end
  end
end
