# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe GoodJob::Performer, :database, :integration do
  before do
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      include GoodJob::ActiveJobExtensions::Batches

      retry_on(IOError, wait: 60, attempts: 2)
      discard_on(KeyError)
      rescue_from(EncodingError) { :rescued }

      class << self
        attr_accessor :inbox
      end

      def perform(name = nil, error = nil)
        self.class.inbox << name
        raise error.constantize, "squeak" if error

        name
      end
    end)
    MouseJob.inbox = []
  end

  let(:lock_id) { SecureRandom.uuid }
  let(:key) { "('x' || substr(md5('good_jobs-' || $1::text), 1, 16))::bit(64)::int8" }

  def jobs
    GoodJob::Job
  end

  def perform_next(from = jobs, **options, &block)
    from.perform_with_lock(lock_id: lock_id, **options, &block)
  end

  def other_session
    connection = PG.connect(SpecDatabase.url)
    yield connection
  ensure
    connection&.close
  end

  describe "GoodJob::Job.perform_with_lock" do
    it "runs one job that is due, leaves what a worker leaves, and says what it returned" do
      job = MouseJob.perform_later("a")
      MouseJob.set(wait: 60).perform_later("later")
      result = perform_next
      expect(result).to be_a(GoodJob::ExecutionResult)
      expect(result).to have_attributes(value: "a", succeeded?: true, retried?: false, retried_job: nil, handled_error: nil, unhandled_error: nil,
                                        error_event: nil, unexecutable: false)
      expect(result.active_job).to be_a(MouseJob).and(have_attributes(job_id: job.job_id, executions: 1))
      expect(row(job)).to have_attributes(status: :succeeded, executions_count: 1, locked_by_id: nil, locked_at: nil, lock_type: nil)
      expect(executions(job)).to match [have_attributes(status: :succeeded, process_id: lock_id)]
      expect(perform_next).to be_nil
      expect(MouseJob.inbox).to eq ["a"]
    end

    it "tells what became of an error, and raises none" do
      job = MouseJob.perform_later("a", "RuntimeError")
      expect(perform_next).to have_attributes(unhandled_error: be_a(RuntimeError), handled_error: nil, error_event: :unhandled, succeeded?: false)
      expect(row(job)).to have_attributes(status: :discarded, error: "RuntimeError: squeak")
      MouseJob.perform_later("b", "KeyError")
      expect(perform_next).to have_attributes(handled_error: be_a(KeyError), unhandled_error: nil, error_event: :discarded, value: nil)
      retried = MouseJob.perform_later("c", "IOError")
      expect(perform_next).to have_attributes(handled_error: be_a(IOError), error_event: :retried, retried?: true, retried_job: row(retried))
    end

    it "passes on what no job may raise, and leaves an attempt that was cut short" do
      job = MouseJob.perform_later("a", "NoMemoryError")
      expect { perform_next }.to raise_error(NoMemoryError)
      expect(row(job)).to have_attributes(finished_at: nil, performed_at: be_present, locked_by_id: nil)
      expect(SpecDatabase.held_job_locks).to eq 0
    end

    it "goes by priority and time, by the queues of a pool, and by the relation that it is called on" do
      MouseJob.set(queue: "mice", priority: 5).perform_later("second")
      MouseJob.set(queue: "mice", priority: 1).perform_later("first")
      MouseJob.set(queue: "cats").perform_later("cat")
      MouseJob.set(queue: "rats").perform_later("rat")
      2.times { perform_next(parsed_queues: { include: ["mice"] }) }
      perform_next(jobs.queue_string("-cats"))
      perform_next(jobs.where(job_class: "OtherJob"))
      expect(MouseJob.inbox).to eq %w[first second rat]
      MouseJob.set(queue: "mice", priority: -1).perform_later("third")
      2.times { perform_next(parsed_queues: GoodJob::Job.queue_parser("+cats,mice")) }
      expect(MouseJob.inbox.last(2)).to eq %w[cat third]
    end

    it "lets the job see all others, whatever the relation" do
      MouseJob.define_method(:perform) { |*| self.class.inbox << GoodJob::Job.count }
      2.times { |number| MouseJob.set(queue: "queue#{number}").perform_later }
      perform_next(jobs.queue_string("queue1"))
      expect(MouseJob.inbox).to eq [2]
    end

    it "leaves paused jobs where they are" do
      allow(GoodJob).to receive(:configuration).and_return(GoodJob::Configuration.new({ enable_pauses: true }, rails: {}, env: {}))
      MouseJob.perform_later("a")
      GoodJob.pause(job_class: "MouseJob")
      expect(perform_next).to be_nil
    end

    it "gives its job to a block before it is run, and nil where there is none" do
      MouseJob.perform_later("a")
      seen = []
      2.times { perform_next { |job| seen << job&.attributes&.slice("locked_by_id", "finished_at") } }
      expect(seen).to eq [{ "locked_by_id" => lock_id, "finished_at" => nil }, nil]
    end

    it "gives the job back as it was where the block raises" do
      job = MouseJob.perform_later("a")
      before = row(job).attributes.except("updated_at", "executions_count")
      expect { perform_next { raise IOError, "no" } }.to raise_error(IOError, "no")
      expect(row(job).attributes.except("updated_at", "executions_count")).to eq before
      expect([row(job).executions_count, SpecDatabase.held_job_locks, MouseJob.inbox]).to eq [0, 0, []]
    end

    { advisory: :perform_with_advisory_lock, skiplocked: :perform_with_skip_locked, hybrid: :perform_with_hybrid_lock }.each do |strategy, name|
      describe name.to_s do
        it "leases the job in its row, which says how, and holds its advisory lock while it runs" do
          seen = nil
          locks = -> { SpecDatabase.held_job_locks }
          MouseJob.define_method(:perform) { |*| seen = [GoodJob::Job.find(job_id).attributes.slice("locked_by_id", "lock_type"), locks.call] }
          MouseJob.perform_later
          expect(jobs.public_send(name, lock_id: lock_id)).to be_succeeded
          expect(seen).to eq [{ "locked_by_id" => lock_id, "lock_type" => strategy.to_s }, 1]
          expect(SpecDatabase.held_job_locks).to eq 0
        end

        it "passes over jobs that somebody has, by the row, by its lock or by the advisory lock" do
          leased, locked, held = Array.new(3) { |number| MouseJob.set(priority: number).perform_later(number) }
          MouseJob.set(priority: 5).perform_later("free")
          row(leased).update!(locked_by_id: SecureRandom.uuid)
          other_session do |connection|
            connection.exec("BEGIN; SELECT FROM good_jobs WHERE id = '#{locked.job_id}' FOR UPDATE")
            connection.exec_params("SELECT pg_advisory_lock(#{key})", [held.job_id])
            expect(jobs.public_send(name, lock_id: lock_id, queue_select_limit: 1)).to be_nil
            expect(jobs.public_send(name, lock_id: lock_id, queue_select_limit: 2)).to have_attributes(value: "free")
            expect(jobs.public_send(name, lock_id: lock_id)).to be_nil
          end
        end
      end
    end

    it "takes the job only once, though many ask at the same time" do
      MouseJob.inbox = Thread::Queue.new
      10.times { |number| MouseJob.perform_later(number) }
      threads = Array.new(4) { Thread.new { nil while perform_next } }
      threads.each(&:join)
      expect(Array.new(MouseJob.inbox.size) { MouseJob.inbox.pop }).to match_array(0..9)
      expect(jobs.succeeded.count).to eq 10
    end

    it "is not taken for a run of the dead, while it lasts, by workers" do
      job = LatchedJob.perform_later(latch.path)
      performing = Thread.new { perform_next }
      wait_for_event(job, "started")
      row(job).update_columns(locked_at: 1.hour.ago, performed_at: 1.hour.ago)
      start_capsule
      bystander = GoodJob::Job.create!(id: SecureRandom.uuid, locked_by_id: SecureRandom.uuid, locked_at: 1.hour.ago)
      wait_until("the workers to put back what nobody holds") { bystander.reload.locked_by_id.nil? }
      expect(row(job).locked_by_id).to eq lock_id
      row(job).update_columns(locked_at: 1.hour.ago)
      latch.open
      performing.join
      expect(events(job)).to eq %w[started finished]
    end

    it "stores nothing of a run whose job is somebody else's by now, were it the same caller's, and reports that" do
      reported = []
      GoodJob.on_thread_error = ->(error) { reported << error.class }
      job = LatchedJob.perform_later(latch.path)
      performing = Thread.new { perform_next }
      wait_for_event(job, "started")
      row(job).update_columns(locked_at: 1.hour.from_now)
      latch.open
      performing.join
      expect(row(job)).to have_attributes(finished_at: nil, locked_by_id: lock_id)
      expect([executions(job), reported]).to eq [[], [GoodJob::LostLeaseError]]
    end

    it "refuses the id of a process that runs jobs, and offers another" do
      capsule = start_capsule
      wait_until("the process's row") { GoodJob::Process.any? }
      expect { jobs.perform_with_lock(lock_id: capsule.process_id) }.to raise_error(ArgumentError, /id_for_lock/)
      expect(jobs.perform_with_lock(lock_id: capsule.tracker.id_for_lock)).to be_nil
    end

    it "refuses a lock strategy that there is not" do
      expect { perform_next(lock_strategy: :hope) }.to raise_error(ArgumentError, /lock_strategy is :hope, but must be one of :advisory/)
    end

    it "takes part in the caller's transaction" do
      job = MouseJob.perform_later("a")
      ActiveRecord::Base.transaction do
        expect(perform_next).to be_succeeded
        raise ActiveRecord::Rollback
      end
      expect(row(job)).to have_attributes(finished_at: nil, performed_at: nil, locked_by_id: nil)
      expect(SpecDatabase.held_job_locks).to eq 0
    end

    it "lets the job's batch know" do
      batch = GoodJob::Batch.enqueue { MouseJob.perform_later("a") }
      perform_next
      expect(batch.reload).to be_finished
    end

    it "sends perform_job.good_job" do
      MouseJob.perform_later("a")
      told = []
      ActiveSupport::Notifications.subscribed(->(*, payload) { told << payload.slice(:value, :process_id) }, "perform_job.good_job") { perform_next }
      expect(told).to eq [{ value: "a", process_id: Process.pid }]
    end
  end

  describe "GoodJob::Job#perform" do
    it "runs this job, due or not, and brings the record up to date" do
      job = row(MouseJob.set(wait: 60).perform_later("a"))
      expect(job.perform(lock_id: lock_id)).to have_attributes(value: "a", succeeded?: true)
      expect(job).to have_attributes(status: :succeeded, executions_count: 1)
    end

    it "leaves nothing behind where nothing is to be preserved" do
      GoodJob.preserve_job_records = false
      job = row(MouseJob.perform_later("a"))
      expect(job.perform(lock_id: lock_id)).to be_succeeded
      expect([jobs.count, GoodJob::Execution.count]).to eq [0, 0]
    end

    it "raises PreviouslyPerformedError for a job that has ended, whether the record knows or not" do
      job = row(MouseJob.perform_later("a"))
      stale = jobs.find(job.id)
      job.perform(lock_id: lock_id)
      [job, stale].each { |record| expect { record.perform(lock_id: lock_id) }.to raise_error(GoodJob::Job::PreviouslyPerformedError) }
      expect(MouseJob.inbox).to eq ["a"]
    end

    it "leaves a job alone that somebody has, unless it is the caller, who says so" do
      job = row(MouseJob.perform_later("a"))
      job.update!(locked_by_id: lock_id, locked_at: Time.current)
      expect(job.perform(lock_id: lock_id)).to have_attributes(unexecutable: true, succeeded?: false)
      expect(job.perform(lock_id: SecureRandom.uuid, already_claimed: true)).to have_attributes(unexecutable: true)
      expect(MouseJob.inbox).to eq []
      expect(job.perform(lock_id: lock_id, already_claimed: true)).to be_succeeded
    end

    it "runs a job whose advisory lock the caller has, and leaves that to the caller" do
      job = row(MouseJob.perform_later("a"))
      job.with_advisory_lock do
        expect(job.perform(lock_id: lock_id)).to be_succeeded
        expect(job.owns_advisory_lock?).to be true
      end
    end

    it "tells the job that an attempt before was cut short" do
      MouseJob.define_method(:perform) { |*| self.class.inbox << GoodJob::CurrentThread.execution_interrupted }
      job = row(MouseJob.perform_later)
      job.update!(performed_at: Time.utc(2030))
      job.perform(lock_id: lock_id)
      expect(MouseJob.inbox).to eq [Time.utc(2030)]
    end
  end

  describe "the callbacks of GoodJob::Job" do
    around do |example|
      callbacks = %i[_perform_callbacks _perform_unlocked_callbacks].to_h { |name| [name, GoodJob::Job.public_send(name).dup] }
      example.run
      callbacks.each { |name, chain| GoodJob::Job.public_send(:"#{name}=", chain) }
    end

    it "run around a job that is performed so, and after it when it is unlocked" do
      seen = []
      locks = -> { SpecDatabase.held_job_locks }
      GoodJob::Job.before_perform { seen << [:before, status] }
      GoodJob::Job.after_perform { seen << [:after, status, locks.call] }
      GoodJob::Job.after_perform_unlocked { seen << [:unlocked, locks.call] }
      MouseJob.perform_later("a")
      perform_next
      expect(seen).to eq [%i[before running], [:after, :succeeded, 1], [:unlocked, 0]]
    end

    it "may keep a job from being performed, which is given back as it was" do
      GoodJob::Job.before_perform { throw :abort }
      job = MouseJob.perform_later("a")
      expect(perform_next).to have_attributes(unexecutable: true, succeeded?: false)
      expect(row(job)).to have_attributes(status: :queued, executions_count: 0, locked_by_id: nil)
      expect(MouseJob.inbox).to eq []
    end
  end
end
