# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe GoodJob::Batch, :database, :integration do
  before do
    GlobalID.app ||= "spec"
    stub_const("MouseJob", Class.new(ActiveJob::Base) do
      include GoodJob::ActiveJobExtensions::Batches
      discard_on(KeyError)

      def perform(action = nil)
        SpecRun.record(self, "ate")
        raise KeyError, "no cheese" if action == "fail" && executions == 1
      end
    end)
    stub_const("TellJob", Class.new(ActiveJob::Base) do
      def perform(batch, context)
        SpecRun.record(self, "#{context[:event]} of #{batch.id} #{batch.properties.inspect}")
      end
    end)
  end

  def callbacks
    events.grep(/ of /).map { |event| event[/\w+/] }
  end

  # Runs the jobs of the batch and its callbacks. The limit is less than the time between two looks at all batches: what is not noticed
  # when it happens is not noticed in time.
  def finish(batch, **options)
    start_capsule(**options)
    wait_until("the batch to be finished", limit_seconds: 8) { batch.reload.finished? }
  end

  def mice(count)
    Array.new(count) { MouseJob.new }
  end

  describe "what it keeps" do
    it "takes the names of columns as columns, and everything else as properties" do
      batch = described_class.new(on_finish: TellJob, callback_priority: 3, description: "Cheese", size: 2, "kind" => nil)
      expect(batch).to have_attributes(on_finish: "TellJob", callback_priority: 3, description: "Cheese", properties: { size: 2, "kind" => nil })
      expect(batch).not_to be_persisted
    end

    it "keeps keys and types of the properties" do
      batch = described_class.enqueue(at: Time.utc(2030), names: %i[a b], nested: { "text" => { deep: 1 } })
      expect(described_class.find(batch.id).properties).to eq(at: Time.utc(2030), names: %i[a b], nested: { "text" => { deep: 1 } })
    end

    it "takes more of both later, and keeps what it has" do
      batch = described_class.new(size: 2, on_finish: "TellJob")
      batch.assign_properties(size: 3, kind: "brie", on_success: TellJob, description: "Cheese")
      expect(batch).to have_attributes(on_finish: "TellJob", on_success: "TellJob", description: "Cheese", properties: { size: 3, kind: "brie" })
      batch.assign_properties(properties: { only: 1 })
      expect(batch.properties).to eq(only: 1)
    end

    it "stores properties that were changed in place" do
      batch = described_class.enqueue(stage: 1)
      batch = described_class.find(batch.id)
      batch.properties[:stage] += 1
      batch.save
      expect(described_class.find(batch.id).properties).to eq(stage: 2)
    end

    it "has no properties at first, and refuses any that are no Hash" do
      expect(described_class.new.properties).to eq({})
      expect { described_class.new.properties = [1] }.to raise_error(TypeError, /must be a Hash; \[1\] is none/)
    end

    it "is found by its id, and is an argument of jobs" do
      batch = described_class.enqueue(size: 1)
      expect(described_class.find(batch.id)).to eq(batch)
      expect(GlobalID::Locator.locate(batch.to_global_id)).to eq(batch)
      expect { described_class.find(SecureRandom.uuid) }.to raise_error(ActiveRecord::RecordNotFound)
    end
  end

  describe "looking for it" do
    it "finds batches by conditions, and has their key" do
      batches = Array.new(3) { |number| described_class.enqueue(description: "batch #{number}") }
      expect(described_class.where(id: batches.first(2).map(&:id))).to match_array(batches.first(2))
      expect(described_class.where(description: "batch 2")).to all(be_a(described_class)).and eq([batches.last])
      expect(described_class.primary_key).to eq "id"
      expect(GlobalID::Locator.locate_many(batches.map(&:to_global_id))).to eq batches
    end

    it "says when it was made, changed, enqueued and discarded" do
      travel_to(Time.utc(2035, 1, 1))
      batch = described_class.new
      expect(batch).to have_attributes(created_at: nil, updated_at: nil, enqueued_at: nil, discarded_at: nil)
      batch.add { MouseJob.perform_later("fail") }
      expect(batch).to have_attributes(created_at: Time.current, updated_at: Time.current, enqueued_at: nil)
      travel_to(Time.utc(2035, 1, 2))
      use_adapter(:inline)
      batch.enqueue
      GoodJob.perform_inline
      now = Time.current
      expect(batch.reload).to have_attributes(created_at: Time.utc(2035, 1, 1), updated_at: now, enqueued_at: now, discarded_at: now)
    end
  end

  describe "one that does not exist" do
    it "is no matter to its jobs and callbacks: they run" do
      jobs = Array.new(2) { MouseJob.perform_later }
      GoodJob::Job.where(id: jobs.first.job_id).update_all(batch_id: SecureRandom.uuid)
      GoodJob::Job.where(id: jobs.last.job_id).update_all(batch_callback_id: SecureRandom.uuid)
      errors = []
      GoodJob.on_thread_error = errors.method(:push)
      capsule = start_capsule(max_threads: 1)
      wait_until_finished(*jobs, MouseJob.perform_later)
      capsule.shutdown
      expect([events, errors]).to eq [%w[ate ate ate], []]
    end

    it "is an error of the job that has it as an argument, and of no other" do
      batch = described_class.enqueue
      job = TellJob.perform_later(batch, { event: :success })
      GoodJob::BatchRecord.delete_all
      other = MouseJob.perform_later
      run_jobs(max_threads: 1)
      expect(row(job)).to have_attributes(error: /\AActiveJob::DeserializationError: .*#{batch.id}/, error_event: "unhandled")
      expect(events(other)).to eq ["ate"]
    end

    it "cannot be looked at again, and says so" do
      batch = described_class.enqueue
      GoodJob::BatchRecord.delete_all
      expect { batch.reload }.to raise_error(ActiveRecord::RecordNotFound, /GoodJob::BatchRecord/)
      expect { batch.retry }.to raise_error(ActiveRecord::RecordNotFound, /GoodJob::BatchRecord/)
      expect(batch.active_jobs).to eq []
    end
  end

  describe "#add" do
    it "adds the jobs of the block, and enqueues no callbacks" do
      batch = described_class.new(on_finish: "TellJob")
      added = batch.add { 2.times { MouseJob.perform_later } }
      expect(added.map(&:job_id)).to match_array(GoodJob::Job.where(batch_id: batch.id).ids)
      run_jobs
      expect(batch.reload).to have_attributes(enqueued?: false, jobs_finished?: false, finished?: false)
      expect(callbacks).to be_empty
    end

    it "adds jobs that are enqueued already" do
      job = MouseJob.perform_later
      batch = described_class.new
      batch.add(job)
      expect(batch.active_jobs.map(&:job_id)).to eq [job.job_id]
    end

    it "adds the job that runs, which then is one of those that it waits for" do
      stub_const("JoiningJob", Class.new(ActiveJob::Base) do
        include GoodJob::ActiveJobExtensions::Batches

        def perform(latch)
          own = GoodJob::Batch.new(on_finish: "TellJob")
          own.add(self)
          own.enqueue
          SpecRun.record(self, own.id)
          Latch.new(latch).wait
        end
      end)
      job = JoiningJob.perform_later(latch.path)
      start_capsule
      wait_until("the job to have joined") { events(job).any? }
      batch = described_class.find(events(job).first)
      expect(batch).to have_attributes(enqueued?: true, jobs_finished?: false, active_jobs: [have_attributes(job_id: job.job_id)])
      latch.open
      wait_until("the batch to be finished", limit_seconds: 20) { batch.reload.finished? }
      expect(callbacks).to eq ["finish"]
    end

    it "leaves nothing in the queue when the block raises" do
      batch = described_class.new
      expect do
        batch.add do
          MouseJob.perform_later
          raise IOError
        end
      end.to raise_error(IOError)
      expect(GoodJob::Job.count).to eq 0
    end

    it "adds nothing to the jobs that are enqueued after the block" do
      described_class.new.add { MouseJob.perform_later }
      job = MouseJob.perform_later
      expect(row(job).batch_id).to be_nil
    end
  end

  describe "its callbacks" do
    it "are called after the last job: on_success and on_finish, with the batch and the event" do
      batch = described_class.enqueue(mice(3), on_success: "TellJob", on_finish: "TellJob", on_discard: "TellJob", size: 3)
      finish(batch)
      expect(events.first(3)).to eq %w[ate ate ate]
      expect(events.last(2)).to contain_exactly("success of #{batch.id} #{{ size: 3 }.inspect}", "finish of #{batch.id} #{{ size: 3 }.inspect}")
      expect(batch).to have_attributes(succeeded?: true, discarded?: false, jobs_finished?: true)
    end

    it "are on_discard and on_finish when a job is discarded" do
      batch = described_class.enqueue(on_success: "TellJob", on_finish: "TellJob", on_discard: "TellJob") do
        2.times { MouseJob.perform_later("fail") }
        MouseJob.perform_later
      end
      finish(batch)
      expect(callbacks).to contain_exactly("discard", "finish")
      expect(batch).to have_attributes(succeeded?: false, discarded?: true, finished?: true)
    end

    it "have their queue and priority" do
      batch = described_class.enqueue(mice(1), on_finish: "TellJob", callback_queue_name: "cats", callback_priority: -5)
      finish(batch)
      expect(GoodJob::Job.where(batch_callback_id: batch.id).first).to have_attributes(queue_name: "cats", priority: -5, batch_id: nil)
    end

    it "are jobs of their own, which can be looked at" do
      batch = described_class.enqueue(on_success: "TellJob", on_finish: "TellJob")
      expect(batch.callback_active_jobs).to all(be_a(TellJob))
      expect(batch.callback_active_jobs.map { |job| job.arguments.last[:event] }).to contain_exactly(:success, :finish)
      expect(batch.active_jobs).to eq []
    end

    it "are called at once for a batch without jobs" do
      batch = described_class.enqueue(on_success: "TellJob", on_finish: "TellJob")
      expect(batch).to have_attributes(jobs_finished?: true, finished?: false)
      finish(batch)
      expect(callbacks).to contain_exactly("success", "finish")
    end

    it "may be missing: the batch is finished with its last job" do
      batch = described_class.enqueue(mice(2))
      finish(batch)
      expect(batch.finished_at).to be_within(2).of(batch.jobs_finished_at)
    end

    it "are called when the jobs leave no rows" do
      GoodJob.preserve_job_records = false
      batch = described_class.enqueue(mice(3), on_success: "TellJob", on_finish: "TellJob")
      finish(batch)
      expect(callbacks).to contain_exactly("success", "finish")
      expect(GoodJob::Job.where(batch_id: batch.id)).to be_none
    end

    it "know of a job that was discarded though jobs leave no rows" do
      GoodJob.preserve_job_records = false
      batch = described_class.enqueue([MouseJob.new("fail"), *mice(2)], on_discard: "TellJob", on_success: "TellJob")
      finish(batch)
      expect(callbacks).to eq ["discard"]
      expect(GoodJob::Job.where(batch_id: batch.id).pluck(:error)).to eq ["KeyError: no cheese"]
    end

    it "wait for jobs that running jobs add" do
      stub_const("NestJob", Class.new(ActiveJob::Base) do
        include GoodJob::ActiveJobExtensions::Batches

        def perform(depth)
          SpecRun.record(self, "depth #{depth}")
          batch.add { NestJob.perform_later(depth - 1) } if depth.positive?
        end
      end)
      batch = described_class.enqueue(on_finish: "TellJob") { NestJob.perform_later(5) }
      finish(batch)
      expect(events.first(6)).to eq(5.downto(0).map { |depth| "depth #{depth}" })
      expect(callbacks).to eq ["finish"]
    end

    it "are not called for the jobs that jobs of the batch enqueue outside of it" do
      stub_const("OuterJob", Class.new(ActiveJob::Base) do
        def perform
          MouseJob.perform_later
        end
      end)
      batch = described_class.enqueue(on_finish: "TellJob") { OuterJob.perform_later }
      finish(batch)
      wait_until("the mouse to eat") { events.include?("ate") }
      expect(GoodJob::Job.where(job_class: "MouseJob").pluck(:batch_id)).to eq [nil]
    end

    it "are called again when the batch is enqueued again" do
      batch = described_class.enqueue([MouseJob.new("fail")], on_finish: "TellJob", on_discard: "TellJob", on_success: "TellJob")
      finish(batch)
      batch.enqueue(mice(1), round: 2)
      wait_until("the batch to be finished again") { batch.reload.finished? }
      expect(callbacks).to contain_exactly("discard", "finish", "success", "finish")
    end

    it "are called when the jobs had ended before the batch was enqueued" do
      batch = described_class.new(on_success: "TellJob")
      batch.add { MouseJob.perform_later }
      run_jobs
      batch.enqueue
      expect(batch).to be_jobs_finished
      finish(batch)
      expect(callbacks).to eq ["success"]
    end

    it "are called though nobody was told of the last job's end" do
      batch = described_class.enqueue(mice(1), on_finish: "TellJob")
      GoodJob::Job.where(batch_id: batch.id).update_all(finished_at: Time.current)
      finish(batch)
      expect(callbacks).to eq ["finish"]
    end

    it "are called by another process when one dies between the end of the last job and the callback" do
      batch = described_class.enqueue(mice(1), on_finish: "TellJob")
      stub_const("GoodJob::Batch::Progress", Class.new(GoodJob::Batch::Progress) { def self.advance(_id) = nil })
      start_capsule
      wait_until("the job to be finished") { GoodJob::Job.where(batch_id: batch.id).unfinished.none? }
      capsules.last.shutdown
      expect(batch.reload).not_to be_jobs_finished

      worker = running_worker
      # The classes of this example are not in the worker: it must not take the callback for one that is not wanted.
      wait_until("the worker to try") { worker.output.include?("TellJob") }
      expect(batch.reload).to have_attributes(jobs_finished?: false, finished?: false)
    end
  end

  describe "exactly once" do
    it "calls each callback once, whoever looks and however often" do
      batch = described_class.enqueue(mice(1), on_finish: "TellJob", on_success: "TellJob")
      GoodJob::Job.where(batch_id: batch.id).update_all(finished_at: Time.current)
      8.times.map { Thread.new { GoodJob::Batch::Progress.advance(batch.id) } }.each(&:join)
      expect(GoodJob::Job.where(batch_callback_id: batch.id).count).to eq 2
    end

    it "calls a batch's callback once when three processes run its jobs" do
      batch = described_class.enqueue(Array.new(3_000) { QuickJob.new }, on_finish: "RecordJob")
      workers = Array.new(3) { running_worker }
      wait_until("the batch to be finished", limit_seconds: 60) { batch.reload.finished? }
      workers.each(&:stop)
      expect(GoodJob::Job.where(batch_callback_id: batch.id).count).to eq 1
      expect(GoodJob::Job.where.not(locked_by_id: nil)).to be_none
    end
  end

  describe ".enqueue_all" do
    it "enqueues many batches and their jobs by few statements" do
      batches = Array.new(20) { |number| described_class.new(on_finish: "TellJob", number: number) }
      seen = statements { described_class.enqueue_all(batches.map { |batch| [batch, mice(2)] }) }
      expect(seen.grep(/INSERT/).size).to eq 2
      expect(batches).to all(be_enqueued)
      expect(batches.map { |batch| GoodJob::Job.where(batch_id: batch.id).count }.uniq).to eq [2]
      expect(described_class.find(batches.last.id).properties).to eq(number: 19)
    end

    it "calls the callbacks of a batch without jobs" do
      empty, none, full = Array.new(3) { described_class.new(on_finish: "TellJob") }
      described_class.enqueue_all([[empty, []], [none, nil], [full, mice(1)]])
      expect(GoodJob::Job.where(job_class: "TellJob").pluck(:batch_callback_id)).to contain_exactly(empty.id, none.id)
    end

    it "takes one job that is not in a list, as enqueue does" do
      batch = described_class.new
      described_class.enqueue_all([[batch, mice(1).first]])
      expect(GoodJob::Job.pluck(:batch_id)).to eq [batch.id]
    end

    it "enqueues jobs that have limits one by one, as far as these allow" do
      stub_const("LimitedJob", Class.new(ActiveJob::Base) do
        include GoodJob::ActiveJobExtensions::Concurrency

        good_job_control_concurrency_with(total_limit: 1)
      end)
      batches = Array.new(2) { described_class.new(on_finish: "TellJob") }
      limited = Array.new(3) { LimitedJob.new }
      described_class.enqueue_all([[batches.first, [limited[0], limited[1], *mice(1)]], [batches.last, [limited[2]]]])
      expect(limited.map(&:provider_job_id)).to eq [limited[0].job_id, nil, nil]
      expect(GoodJob::Job.where(batch_id: batches.first.id).pluck(:job_class)).to contain_exactly("LimitedJob", "MouseJob")
      expect(GoodJob::Job.where(job_class: "TellJob").pluck(:batch_callback_id)).to eq [batches.last.id]
    end

    it "takes new batches only, and none twice" do
      old = described_class.enqueue
      expect { described_class.enqueue_all([[old, []]]) }.to raise_error(ArgumentError, /new batches only/)
      twice = described_class.new
      expect { described_class.enqueue_all([[twice, []], [twice, []]]) }.to raise_error(ArgumentError, /twice/)
    end
  end

  describe "#retry" do
    it "runs the discarded jobs again, and calls the callbacks again" do
      batch = described_class.enqueue([MouseJob.new("fail"), *mice(1)], on_finish: "TellJob", on_success: "TellJob", on_discard: "TellJob")
      finish(batch)
      batch.retry
      expect(batch.reload).to have_attributes(discarded?: false, finished?: false)
      wait_until("the batch to be finished again", limit_seconds: 8) { batch.reload.finished? }
      expect(events.grep("ate").size).to eq 3
      expect(callbacks).to contain_exactly("discard", "finish", "success", "finish")
    end

    it "calls the callbacks at once where nothing was discarded" do
      batch = described_class.enqueue(mice(1), on_finish: "TellJob")
      finish(batch)
      batch.retry
      wait_until("the batch to be finished again", limit_seconds: 8) { batch.reload.finished? }
      expect(callbacks).to eq %w[finish finish]
    end
  end

  describe "the thread's" do
    it "is that of the jobs which it enqueues within a block" do
      ids = Array.new(2) { GoodJob::BatchRecord.create!.id }
      inner = outer = nil
      described_class.within_thread(batch_id: ids.first) do
        described_class.within_thread(batch_id: ids.last, batch_callback_id: ids.first) do
          expect([described_class.current_batch_id, described_class.current_batch_callback_id]).to eq [ids.last, ids.first]
          expect(Thread.new { described_class.current_batch_id }.value).to be_nil
          inner = MouseJob.perform_later
        end
        expect([described_class.current_batch_id, described_class.current_batch_callback_id]).to eq [ids.first, nil]
        outer = MouseJob.perform_later
      end
      expect(described_class.current_batch_id).to be_nil
      expect(row(inner)).to have_attributes(batch_id: ids.last, batch_callback_id: ids.first)
      expect(row(outer)).to have_attributes(batch_id: ids.first, batch_callback_id: nil)
    end
  end

  describe "in a transaction" do
    it "vanishes with it" do
      ActiveRecord::Base.transaction do
        described_class.enqueue(mice(2), on_finish: "TellJob")
        described_class.enqueue(on_finish: "TellJob")
        raise ActiveRecord::Rollback
      end
      expect([GoodJob::BatchRecord.count, GoodJob::Job.count]).to eq [0, 0]
    end

    it "has its callbacks' rows, also where the callback's class waits for commits before it enqueues" do
      waits = TellJob.try(:enqueue_after_transaction_commit)
      TellJob.enqueue_after_transaction_commit = waits.is_a?(Symbol) ? :always : true unless waits.nil?
      ActiveRecord::Base.transaction do
        batch = described_class.enqueue(on_finish: "TellJob")
        expect(GoodJob::Job.where(batch_callback_id: batch.id).count).to eq 1
        expect(batch).to have_attributes(jobs_finished?: true, finished?: false)
      end
    end

    it "is complete when its last job ended before the commit" do
      batch = described_class.new(on_finish: "TellJob")
      batch.add { MouseJob.perform_later }
      start_capsule
      ActiveRecord::Base.transaction do
        batch.enqueue { MouseJob.perform_later }
        finished = -> { ActiveRecord::Base.connection_pool.with_connection { GoodJob::Job.finished.count } }
        wait_until("the first job to be finished") { Thread.new(&finished).value == 1 }
      end
      wait_until("the batch to be finished", limit_seconds: 8) { batch.reload.finished? }
    end
  end

  describe "in the inline mode" do
    before { use_adapter(:inline) }

    it "runs jobs and then callbacks before it returns" do
      batch = described_class.enqueue(on_success: "TellJob", on_finish: "TellJob", on_discard: "TellJob") { 2.times { MouseJob.perform_later } }
      expect(events.first(2)).to eq %w[ate ate]
      expect(callbacks).to contain_exactly("success", "finish")
      expect(batch.reload).to be_succeeded
    end

    it "tells of a discarded job, and runs the others" do
      batch = described_class.enqueue([MouseJob.new("fail"), *mice(1)], on_discard: "TellJob", on_finish: "TellJob", on_success: "TellJob")
      expect(events.grep("ate").size).to eq 2
      expect(callbacks).to contain_exactly("discard", "finish")
      expect(batch.reload).to have_attributes(finished?: true, discarded?: true)
    end

    it "raises what a job does not handle, and leaves the others in the queue" do
      stub_const("CatJob", Class.new(ActiveJob::Base) { def perform = raise(IOError, "cat") })
      batch = described_class.new(on_finish: "TellJob")
      expect { batch.enqueue([CatJob.new, MouseJob.new]) }.to raise_error(IOError)
      expect(GoodJob::Job.unfinished.pluck(:job_class, :locked_by_id)).to eq [["MouseJob", nil]]
      GoodJob.perform_inline
      expect(batch.reload).to have_attributes(finished?: true, discarded?: true)
    end

    it "runs what a callback adds" do
      stub_const("StageJob", Class.new(ActiveJob::Base) do
        def perform(batch, _context)
          stage = batch.properties[:stage] || 0
          SpecRun.record(self, "stage #{stage}")
          batch.enqueue(stage: stage + 1) { MouseJob.perform_later } if stage < 2
        end
      end)
      batch = described_class.enqueue(on_finish: "StageJob") { MouseJob.perform_later }
      expect(events).to eq ["ate", "stage 0", "ate", "stage 1", "ate", "stage 2"]
      expect(batch.reload).to be_finished
    end
  end

  describe "inside its jobs" do
    it "is known to them, and not to those that they run themselves" do
      stub_const("AskJob", Class.new(ActiveJob::Base) do
        include GoodJob::ActiveJobExtensions::Batches

        def perform(inner: false)
          SpecRun.record(self, batch? ? batch.id : "none")
          AskJob.perform_now(inner: true) unless inner
        end
      end)
      batch = described_class.enqueue { AskJob.perform_later }
      finish(batch)
      expect(events).to eq [batch.id, "none"]
    end
  end
end
