# frozen_string_literal: true

require_relative "../support/application_test"
require_relative "../support/listener"

# What docs/testing.md says of an application's own tests. Those that need processes of their own are in testing_suites_spec.rb.
RSpec.describe "An application's tests", :database, :integration, :application_test do
  # Jobs, executions, and what the jobs have done.
  def left_behind
    [GoodJob::Job.count, GoodJob::Execution.count, SpecRun.count]
  end

  # @return [Integer] how many advisory locks there are in the database
  def advisory_locks
    Integer(Postgres.execute(SpecDatabase.url, <<~SQL).first.fetch("count"))
      SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    SQL
  end

  def limited_job(**limits)
    stub_const("LimitedJob", Class.new(ActiveJob::Base) do
      include GoodJob::ActiveJobExtensions::Concurrency

      good_job_control_concurrency_with(key: "cheese", **limits)

      def perform
        SpecRun.record(self, "ran")
      end
    end)
  end

  describe "with Active Job's TestAdapter" do
    it "write no job, and have Active Job's assertions" do
      run_application_test do
        include ActiveJob::TestHelper

        def queue_adapter_for_test
          ActiveJob::QueueAdapters::TestAdapter.new
        end

        test "enqueues" do
          assert_enqueued_with(job: RecordJob, args: ["ate"], queue: "mice") { RecordJob.set(queue: "mice").perform_later("ate") }
          assert_equal [0, []], [GoodJob::Job.count, events]
          perform_enqueued_jobs
          assert_equal ["ate"], events
        end
      end
    end

    it "see no limits: those are kept by GoodJob's adapter" do
      limited_job(enqueue_limit: 1)
      run_application_test do
        include ActiveJob::TestHelper

        def queue_adapter_for_test
          ActiveJob::QueueAdapters::TestAdapter.new
        end

        test "enqueues" do
          assert_enqueued_jobs(2) { 2.times { assert LimitedJob.perform_later } }
        end
      end

      run_application_test do
        test "enqueues" do
          assert LimitedJob.perform_later
          assert_not LimitedJob.perform_later
        end
      end
    end

    it "have the application's adapter from the start, where Active Job heeds it" do
      heeded = Class.new { include ActiveJob::TestHelper }.new.queue_adapter_for_test.nil?
      skip "Active Job replaces it" unless heeded

      run_application_test do
        include ActiveJob::TestHelper

        test "enqueues" do
          RecordJob.perform_later
          assert_equal 1, GoodJob::Job.count
        end
      end
    end

    it "can have GoodJob's adapter back, with which Active Job's assertions are errors" do
      use_adapter(:inline)
      run_application_test do
        include ActiveJob::TestHelper

        setup { ActiveJob::Base.disable_test_adapter }

        test "runs" do
          RecordJob.perform_later
          assert_equal 1, GoodJob::Job.succeeded.count
          assert_raises(ArgumentError, NoMethodError) { assert_enqueued_jobs(0) }
        end
      end
    end

    it "lose it for a class that has once been told by itself to do without" do
      stub_const("StrayJob", Class.new(RecordJob) { disable_test_adapter })
      run_application_test do
        include ActiveJob::TestHelper

        def queue_adapter_for_test
          ActiveJob::QueueAdapters::TestAdapter.new
        end

        test "enqueues" do
          assert_enqueued_jobs(1) { [RecordJob, StrayJob].each(&:perform_later) }
          assert_equal ["StrayJob"], GoodJob::Job.pluck(:job_class)
        end
      end
    end

    it "run a cron entry's enqueueing as any other" do
      nightly = GoodJob::CronEntry.new(key: "nightly", cron: "0 2 * * *", class: "RecordJob", args: -> { ["swept"] }, set: { queue: "brooms" })
      run_application_test do
        include ActiveJob::TestHelper

        def queue_adapter_for_test
          ActiveJob::QueueAdapters::TestAdapter.new
        end

        test "enqueues" do
          assert_enqueued_with(job: RecordJob, args: ["swept"], queue: "brooms") { nightly.enqueue }
        end
      end
    end
  end

  describe "that travel in time" do
    it "run what is due later, to the microsecond, once the clock stands still" do
      use_adapter(:inline)
      run_application_test do
        test "travels" do
          freeze_time
          RecordJob.set(wait: 1.hour).perform_later
          travel 1.hour - 1.second
          assert_equal 0, GoodJob.perform_inline
          travel 1.second
          assert_equal 1, GoodJob.perform_inline
        end
      end
    end

    it "arrive before a job that is due within the second they travel to" do
      due = 1.hour.from_now.change(usec: 500_000)
      run_application_test do
        test "travels" do
          RecordJob.set(wait_until: due).perform_later
          travel_to(due) { assert_equal 0, GoodJob.perform_inline }
          travel_to(due + 1.second) { assert_equal 1, GoodJob.perform_inline }
        end
      end
    end

    it "run retries when their wait is over" do
      use_adapter(:inline)
      stub_const("TimidJob", Class.new(ActiveJob::Base) do
        retry_on IOError, wait: 5.minutes, attempts: 2, jitter: 0
        define_method(:perform) { executions == 1 ? raise(IOError) : SpecRun.record(self, "came back") }
      end)
      run_application_test do
        test "travels" do
          freeze_time
          TimidJob.perform_later
          assert_equal [0, :retried], [GoodJob.perform_inline, GoodJob::Job.first.status]
          travel 5.minutes
          assert_equal [1, ["came back"]], [GoodJob.perform_inline, events]
        end
      end
    end

    it "run what is enqueued in the past and in the future" do
      run_application_test do
        test "travels" do
          [Time.utc(2001), Time.utc(2101)].each do |time|
            travel_to(time) do
              RecordJob.perform_later
              assert_equal 1, GoodJob.perform_inline
              assert_equal time, GoodJob::Job.order(:finished_at).last.finished_at
            end
          end
        end
      end
    end

    it "know when a cron entry is due" do
      nightly = GoodJob::CronEntry.new(key: "nightly", cron: "0 2 * * * UTC", class: "RecordJob")
      run_application_test do
        test "travels" do
          travel_to(Time.utc(2031, 1, 1, 12)) { assert_equal Time.utc(2031, 1, 2, 2), nightly.next_at }
        end
      end
    end
  end

  describe "in a transaction that is rolled back" do
    %i[inline external].each do |mode|
      it "run jobs on their own connection, and leave nothing, with #{mode}" do
        use_adapter(mode)
        heard = Listener.during(SpecDatabase.url) do
          run_application_test do
            test "runs" do
              job = RecordJob.perform_later
              GoodJob.perform_inline
              assert_equal [["ran"], :succeeded, 1], [events(job), row(job).status, executions(job).size]
            end
          end
        end
        expect([heard, left_behind]).to eq [[], [0, 0, 0]]
      end
    end

    it "are not seen by other processes, nor by what runs jobs in their own" do
      start_capsule
      enqueue_elsewhere = -> { ruby('puts "sees #{GoodJob::Job.count}, enqueues #{RecordJob.perform_later.job_id}"') } # rubocop:disable Lint/InterpolationCheck
      run_application_test do
        test "is alone" do
          own = RecordJob.perform_later("own")
          elsewhere = enqueue_elsewhere.call.wait_for_output(/sees (\d+), enqueues (.*)/)
          wait_until("the other process's job to run") { GoodJob::Job.find(elsewhere[2]).finished? }
          assert_equal ["0", :queued], [elsewhere[1], row(own).status]
          GoodJob.perform_inline
          assert row(own).succeeded?
        end
      end
      expect(left_behind.first).to eq 1
    end

    GoodJob::Configuration::LOCK_STRATEGIES.each do |strategy|
      it "take no job's advisory lock, which nobody could ask for, with #{strategy}" do
        allow(GoodJob).to receive(:configuration).and_return(new_capsule(lock_strategy: strategy).configuration)
        use_adapter(:inline)
        count = method(:advisory_locks)
        stub_const("CountJob", Class.new(ActiveJob::Base) { define_method(:perform) { SpecRun.record(self, "locks: #{count.call}") } })
        run_application_test do
          test "runs" do
            job = CountJob.perform_later
            assert_equal [["locks: 0"], nil], [events(job), row(job).lock_type]
          end
        end
      end
    end

    it "use operators' verbs, whose locks last until the end" do
      count = method(:advisory_locks)
      run_application_test do
        test "retries" do
          job = RecordJob.perform_later
          row(job).discard_job("no more")
          row(job).retry_job
          assert_operator count.call, :>=, 1
          assert_equal [:queued, 1, :succeeded], [row(job).status, GoodJob.perform_inline, row(job).status]
        end
      end
      expect(advisory_locks).to eq 0
    end

    it "leave a retry by hand to perform_inline, in the inline mode too" do
      use_adapter(:inline)
      run_application_test do
        test "retries" do
          job = RecordJob.set(wait: 60).perform_later
          row(job).discard_job("no more")
          row(job).retry_job
          assert_equal [[], 1, ["ran"]], [events, GoodJob.perform_inline, events]
        end
      end
    end

    it "hold the lock of a limited key until the end" do
      limited_job(enqueue_limit: 1)
      run_application_test do
        test "enqueues" do
          LimitedJob.perform_later
          assert GoodJob::Job.owns_advisory_lock_key?("cheese")
        end
      end
      expect(GoodJob::Job.advisory_locked_key?("cheese")).to be false
    end

    it "lose it to a job whose own SQL fails, unless there is a savepoint" do
      use_adapter(:inline)
      stub_const("DividingJob", Class.new(ActiveJob::Base) { define_method(:perform) { SpecRun.connection.execute("SELECT 1 / 0") } })
      run_application_test do
        test "survives" do
          assert_raises(ActiveRecord::StatementInvalid) { SpecRun.transaction(requires_new: true) { DividingJob.perform_later } }
          assert_equal 0, GoodJob::Job.count
        end
      end

      run_application_test do
        test "is lost" do
          error = assert_raises(ActiveRecord::StatementInvalid) { DividingJob.perform_later }
          assert_match(/ZeroDivision|division by zero/, error.message)
          assert_match(/aborted/, assert_raises(ActiveRecord::StatementInvalid) { GoodJob::Job.count }.message)
        end
      end
      expect(left_behind).to eq [0, 0, 0]
    end

    it "do not keep back jobs that wait for commits" do
      skip "Active Job does not wait" unless defined?(ActiveJob::EnqueueAfterTransactionCommit)

      stub_const("PatientJob", Class.new(RecordJob) do
        include ActiveJob::EnqueueAfterTransactionCommit
        self.enqueue_after_transaction_commit = enqueue_after_transaction_commit.is_a?(Symbol) ? :always : true
      end)
      run_application_test do
        test "enqueues" do
          SpecRun.transaction do
            PatientJob.perform_later
            assert_equal 0, GoodJob::Job.count
          end
          assert_equal 1, GoodJob::Job.count
        end
      end
    end

    it "run a batch's jobs and callbacks, inline and by perform_inline" do
      GlobalID.app ||= "spec"
      stub_const("TellJob", Class.new(ActiveJob::Base) { define_method(:perform) { |_batch, context| SpecRun.record(self, context[:event].to_s) } })
      %i[inline external].each do |mode|
        use_adapter(mode)
        run_application_test do
          test "runs" do
            batch = GoodJob::Batch.enqueue(on_finish: "TellJob", on_success: "TellJob") { 2.times { RecordJob.perform_later } }
            assert_equal mode == :inline ? 0 : 4, GoodJob.perform_inline
            assert_equal({ "ran" => 2, "finish" => 1, "success" => 1 }, events.tally)
            assert batch.reload.succeeded?
          end
        end
      end
      expect([left_behind, GoodJob::BatchRecord.count]).to eq [[0, 0, 0], 0]
    end
  end

  describe "without a transaction, beside a capsule" do
    {
      "DELETE" => -> { SpecDatabase.clear },
      "TRUNCATE" => -> { ActiveRecord::Base.connection.execute("TRUNCATE #{SpecDatabase::TABLES.join(", ")}") }
    }.each do |way, clear|
      it "empty the tables by #{way} between them: it goes on, and its row comes back" do
        start_capsule
        run_application_test do
          self.use_transactional_tests = false

          test "runs, twice" do
            2.times do |number|
              job = RecordJob.perform_later(number.to_s)
              wait_until_finished(job)
              assert_equal [number.to_s], events(job)
              wait_until("no job to be held") { GoodJob::Job.where.not(locked_by_id: nil).none? }
              clear.call
              assert_equal 0, GoodJob::Job.count
            end
          end
        end
        wait_until("the process's row") { GoodJob::Process.count == 1 }
      end
    end

    it "may take a running job's row away: its end is reported, and the next job runs" do
      reported = Queue.new
      GoodJob.on_thread_error = ->(error) { reported << error }
      start_capsule
      open_latch = latch
      run_application_test do
        self.use_transactional_tests = false

        test "runs" do
          job = LatchedJob.perform_later(open_latch.path)
          wait_for_event(job, "started")
          SpecDatabase.clear
          open_latch.open
          wait_for_event(job, "started", "finished")
          wait_until_finished(RecordJob.perform_later)
          assert_equal ["RecordJob"], GoodJob::Job.pluck(:job_class)
        end
      end
      wait_until("the report") { !reported.empty? }
    end
  end
end
