# frozen_string_literal: true

require_relative "../support/integration"
require_relative "../support/proxy"

RSpec.describe "Concurrency limits", :database, :integration do
  def limited_job(name = "MouseJob", **limits, &block)
    stub_const(name, Class.new(ActiveJob::Base) do
      include GoodJob::ActiveJobExtensions::Concurrency

      good_job_control_concurrency_with(**limits) if limits.any?
      class_eval(&block) if block
      def perform(*)
        SpecRun.record(self, "ran")
      end
    end)
  end

  # @return [Array<Hash>] what was told of refused enqueues during the block
  def refusals(&block)
    told = []
    note = ->(name, *, payload) { told << [name[/limit|throttle/], payload[:key], payload[:limit]] }
    ActiveSupport::Notifications.subscribed(note, /enqueue_concurrency_\w+_exceeded\.good_job/, &block)
    told
  end

  # @param column [String] what is asked of each
  def sessions_for_slots(column)
    Postgres.execute(SpecDatabase.url, <<~SQL)
      SELECT #{column} FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'GoodJob slots'
    SQL
  end

  describe "at enqueueing" do
    it "refuse what is too much, say so, and make perform_later false" do
      limited_job(enqueue_limit: 2, key: -> { "cheese-#{arguments.first}" })
      told = refusals { expect(Array.new(3) { MouseJob.perform_later("brie") }.map { |job| job ? true : false }).to eq [true, true, false] }
      expect(told).to eq [["limit", "cheese-brie", 2]]
      expect(MouseJob.perform_later("stilton")).to be_truthy
      expect(GoodJob::Job.pluck(:concurrency_key)).to contain_exactly("cheese-brie", "cheese-brie", "cheese-stilton")
    end

    it "write a line that says which job, which key and which limit" do
      log = StringIO.new
      GoodJob.logger = ActiveSupport::TaggedLogging.new(Logger.new(log))
      limited_job(total_limit: 1, enqueue_throttle: [5, 60])
      2.times { MouseJob.perform_later }
      expect(log.string).to match(/\[GoodJob\].*MouseJob \(Job ID: \h{8}-.*'MouseJob'.*enqueue limit of 1 job$/)
    end

    it "count those that wait for enqueue_limit, and those that run as well for total_limit" do
      limited_job(enqueue_limit: 1, key: "a")
      limited_job("RatJob", total_limit: 1, key: "b")
      [MouseJob, RatJob].each do |job_class|
        GoodJob::Job.find(job_class.perform_later.job_id).update!(locked_by_id: SecureRandom.uuid)
      end
      expect([MouseJob.perform_later, RatJob.perform_later].map { |job| job ? true : false }).to eq [true, false]
      GoodJob::Job.where(concurrency_key: "b").update_all(finished_at: Time.current)
      expect(RatJob.perform_later).to be_truthy
    end

    it "do not count those that run by an advisory lock, for enqueue_limit" do
      limited_job(enqueue_limit: 1)
      running = MouseJob.perform_later
      expect(MouseJob.perform_later).to be_falsey
      PG.connect(SpecDatabase.url) do |session|
        session.exec("SELECT pg_advisory_lock(('x' || substr(md5('good_jobs-#{running.job_id}'), 1, 16))::bit(64)::int8)")
        expect(MouseJob.perform_later).to be_truthy
      end
    end

    it "count what was enqueued in a time for enqueue_throttle" do
      limited_job(enqueue_throttle: [2, 1.minute])
      told = refusals { 3.times { MouseJob.perform_later } }
      expect(told).to eq [["throttle", "MouseJob", 2]]
      GoodJob::Job.update_all(created_at: 61.seconds.ago)
      expect(MouseJob.perform_later).to be_truthy
    end

    it "hold exactly, though many enqueue at once" do
      limited_job(total_limit: 3, key: "one")
      threads = Array.new(8) { Thread.new { ActiveRecord::Base.connection_pool.with_connection { 3.times { MouseJob.perform_later } } } }
      threads.each(&:join)
      expect(GoodJob::Job.count).to eq 3
    end

    it "hold for jobs of a transaction that is still open" do
      limited_job(total_limit: 1, key: "one")
      second = nil
      ActiveRecord::Base.transaction do
        MouseJob.perform_later
        second = Thread.new { ActiveRecord::Base.connection_pool.with_connection { MouseJob.perform_later } }
        wait_until("the second enqueue to wait") { Postgres.execute(SpecDatabase.url, <<~SQL).any? }
          SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        SQL
      end
      expect([second.value, GoodJob::Job.count]).to eq [false, 1]
    end

    it "hold in bulk, by key and by label, for those that have them only" do
      limited_job(total_limit: 2)
      limited_job("RatJob") do
        self.good_job_labels = ["pest"]
        good_job_concurrency_rule(label: "pest", total_limit: 1)
      end
      jobs = GoodJob::Bulk.enqueue { [MouseJob, RatJob, RecordJob].each { |job_class| 3.times { job_class.perform_later } } }
      expect(GoodJob::Job.group(:job_class).count).to eq("MouseJob" => 2, "RatJob" => 1, "RecordJob" => 3)
      expect(jobs.count(&:provider_job_id)).to eq 6
    end

    it "do not count the job that enqueues itself again" do
      limited_job(total_limit: 1)
      MouseJob.class_eval do
        retry_on(IOError, wait: 0, attempts: 3)
        def perform
          raise IOError if executions < 3
        end
      end
      job = MouseJob.perform_later
      run_jobs
      expect(row(job)).to have_attributes(executions_count: 3, status: :succeeded)
    end

    it "leave the jobs of other queues alone" do
      limited_job(total_limit: 1)
      MouseJob.queue_adapter = :test
      expect(Array.new(3) { MouseJob.perform_later }).to all(be_truthy)
    end
  end

  describe "keys" do
    it "are the class's name by default, none for nil, and text for all that has one" do
      limited_job
      limited_job("RatJob", total_limit: 1, key: -> {})
      limited_job("CatJob", key: -> { :purr })
      [MouseJob, RatJob, RatJob, CatJob].each(&:perform_later)
      expect(GoodJob::Job.pluck(:concurrency_key)).to contain_exactly("MouseJob", nil, nil, "purr")
    end

    it "of a wrong type are a TypeError that says which" do
      limited_job(total_limit: 1, key: -> { [1] })
      expect { MouseJob.perform_later }.to raise_error(TypeError, "Concurrency key must be a String; was a Array")
    end

    it "of unknown options are an ArgumentError that names them" do
      expect { limited_job(total_limit: 1, per: 3).good_job_limits }.to raise_error(ArgumentError, /unknown concurrency option :per.*total_limit/)
    end

    it "of limits that make no sense are no limits" do
      limited_job(total_limit: -1, enqueue_limit: "many", perform_limit: Float::INFINITY, enqueue_throttle: 5, perform_throttle: ["a", 3])
      expect(Array.new(3) { MouseJob.perform_later }).to all(be_truthy)
      run_jobs
      expect(events.size).to eq 3
    end

    it "are worked out once, and travel with the job" do
      limited_job(key: -> { "key-#{arguments.first}" }, perform_limit: 1)
      job = MouseJob.perform_later(1)
      expect(row(job).active_job.good_job_concurrency_key).to eq "key-1"
    end
  end

  describe "rules" do
    it "by label count the jobs that have it, and are for those only" do
      limited_job do
        good_job_concurrency_rule(label: "grey", total_limit: 1)
        good_job_concurrency_rule(key: -> { "all mice" }, total_limit: 3)
      end
      enqueued = [%w[grey], %w[grey], [], %w[white], %w[white]].map { |labels| MouseJob.set(good_job_labels: labels).perform_later ? true : false }
      expect(enqueued).to eq [true, false, true, true, false]
    end

    it "tell of a label where there is no key" do
      limited_job { good_job_concurrency_rule(label: "grey", total_limit: 1) }
      told = refusals { 2.times { MouseJob.set(good_job_labels: %w[grey]).perform_later } }
      expect(told).to eq [["limit", "label:grey", 1]]
    end
  end

  describe "several of a class" do
    it "are the class's own and then its rules, in their order, up to the first that is reached" do
      limited_job(total_limit: -> { arguments.first }, key: "own") do
        good_job_concurrency_rule(label: "grey", total_limit: 1)
        good_job_concurrency_rule(label: "small", total_limit: 1)
      end
      enqueue = ->(limit, *labels) { MouseJob.set(good_job_labels: labels).perform_later(limit) }
      enqueue.call(9, "grey", "small")
      told = refusals { [[1, "grey", "small"], [9, "grey", "small"], [9, "small"]].each { |arguments| enqueue.call(*arguments) } }
      expect(told).to eq [["limit", "own", 1], ["limit", "label:grey", 1], ["limit", "label:small", 1]]
      expect(GoodJob::Job.count).to eq 1
    end
  end

  describe "callables" do
    it "may say limits, throttles and labels" do
      limited_job do
        good_job_concurrency_rule(label: -> { "cage #{arguments.first}" }, enqueue_limit: -> { arguments.last })
        good_job_concurrency_rule(label: -> { "keeper" }, enqueue_throttle: -> { [arguments.last, 60] })
      end
      told = refusals do
        3.times { MouseJob.set(good_job_labels: ["cage 7"]).perform_later(7, 2) }
        2.times { MouseJob.set(good_job_labels: ["keeper"]).perform_later(7, 1) }
      end
      expect(told).to eq [["limit", "label:cage 7", 2], ["throttle", "label:keeper", 1]]
    end
  end

  describe "a rule with neither key nor label" do
    it "counts all jobs" do
      limited_job { good_job_concurrency_rule(total_limit: 2) }
      RecordJob.perform_later
      enqueued = Array.new(2) { MouseJob.perform_later ? true : false }
      expect(enqueued).to eq [true, false]
      expect(RecordJob.perform_later).to be_truthy
    end
  end

  # Jobs that say when they began and ended.
  def watched_job(**limits, &block)
    limited_job(**limits, &block)
    MouseJob.class_eval do
      def perform(seconds = 0.02)
        SpecRun.record(self, "began")
        Kernel.public_send(:select, nil, nil, nil, seconds)
        SpecRun.record(self, "ended")
      end
    end
  end

  # @return [Integer] how many ran at the same time, at most
  def most_at_once
    running = 0
    SpecRun.order(:id).pluck(:event).map { |event| running += event == "began" ? 1 : -1 }.max
  end

  describe "at performing" do
    it "let so many run at once, and all in the end, without errors or more attempts" do
      watched_job(perform_limit: 2)
      jobs = Array.new(40) { MouseJob.perform_later }
      run_jobs(max_threads: 6)
      expect(most_at_once).to eq 2
      expect(jobs.map { |job| row(job) }).to all(have_attributes(error: nil, executions_count: 1, status: :succeeded, locked_at: nil))
      expect(GoodJob::Execution.count).to eq 40
      expect(GoodJob::Execution.where("scheduled_at > created_at")).to be_empty
    end

    it "take total_limit where there is no perform_limit, and hold by label too" do
      watched_job { good_job_concurrency_rule(label: "grey", enqueue_limit: 100, total_limit: 1) }
      GoodJob::Bulk.enqueue { 10.times { MouseJob.set(good_job_labels: %w[grey]).perform_later } }
      run_jobs(max_threads: 4)
      expect([most_at_once, events.size]).to eq [1, 20]
    end

    it "run the jobs of a key in their order" do
      watched_job(perform_limit: 1)
      jobs = Array.new(20) { MouseJob.perform_later(0.001) }
      run_jobs(max_threads: 3)
      expect(SpecRun.where(event: "began").order(:id).pluck(:job_id).first(3)).to include(jobs.first.job_id)
      expect(most_at_once).to eq 1
    end

    it "leave the others alone: jobs of other keys run while one is full" do
      limited_job(perform_limit: 1)
      MouseJob.class_eval do
        def perform(latch)
          Latch.new(latch).wait
        end
      end
      20.times { MouseJob.perform_later(latch.path) }
      start_capsule(max_threads: 3)
      wait_until("all but one to be parked") { GoodJob::Job.where.not(locked_at: nil).where(locked_by_id: nil).count == 19 }
      others = Array.new(20) { RecordJob.perform_later }
      wait_until_finished(*others)
      expect(GoodJob::Execution.where(job_class: "MouseJob")).to be_empty
      expect(GoodJob::Job.where(job_class: "MouseJob").where.not(executions_count: [nil, 0]).count).to eq 1
      latch.open
      wait_until("the rest to run") { unfinished_jobs.none? }
    end

    it "let a parked job run when its slot is given back by somebody who tells nobody" do
      watched_job(perform_limit: 1, key: "cheese")
      PG.connect(SpecDatabase.url) do |session|
        session.exec("SELECT pg_advisory_lock(('x' || substr(md5('cheese slot 1'), 1, 16))::bit(64)::int8)")
        MouseJob.perform_later
        start_capsule
        wait_until("the job to be parked") { GoodJob::Job.where.not(locked_at: nil).where(locked_by_id: nil).any? }
        expect(events).to be_empty
      end
      wait_until("the job to run", limit_seconds: 10) { unfinished_jobs.none? }
    end

    it "go on when a job that was handed a slot turns out to be one whose arguments are gone" do
      limited_job(perform_limit: 1, key: "cheese")
      MouseJob.class_eval do
        def perform(latch = nil)
          SpecRun.record(self, "began")
          Latch.new(latch).wait if latch
        end
      end
      start_capsule(max_threads: 2)
      wait_for_event(MouseJob.perform_later(latch.path), "began")
      broken = MouseJob.perform_later
      last = MouseJob.perform_later
      wait_until("both to be parked") { GoodJob::Job.where.not(locked_at: nil).where(locked_by_id: nil).count == 2 }
      gone = row(broken).serialized_params.merge("arguments" => [{ "_aj_globalid" => "gid://app/Gone/1" }])
      GoodJob::Job.where(id: broken.job_id).update_all(serialized_params: gone)
      latch.open
      wait_until("all to have ended", limit_seconds: 10) { unfinished_jobs.none? }
      expect([row(broken).error, row(last).status]).to match([/DeserializationError/, :succeeded])
    end

    it "give back what was fetched for a slot that a job then keeps for long" do
      stub_const("GoodJob::Relay::FETCHED_AGE_MAX_S", 0.2)
      watched_job(perform_limit: 1)
      durations = Array.new(21) { |number| number == 10 ? 0.5 : 0 }
      jobs = durations.map { |seconds| MouseJob.perform_later(seconds) }
      run_jobs(max_threads: 2)
      expect(jobs.map { |job| row(job) }).to all(have_attributes(executions_count: 1, status: :succeeded))
      expect([most_at_once, events.size]).to eq [1, 42]
      runs = GoodJob::Execution.order(:created_at).pluck(:created_at, :finished_at)
      expect(runs.each_cons(2).count { |(_, ended_at), (began_at, _)| began_at < ended_at - 0.02 }).to eq 0
    end

    it "go on when the session that has the slots is lost" do
      watched_job(perform_limit: 2)
      jobs = Array.new(60) { MouseJob.perform_later(0.05) }
      start_capsule(max_threads: 4)
      wait_until("some to run") { events.size > 6 }
      sessions_for_slots("pg_terminate_backend(pid)")
      wait_until_finished(*jobs)
      expect(most_at_once).to eq 2
      expect(GoodJob::Execution.count).to eq 60
      capsules.last.shutdown
      expect(sessions_for_slots("pid")).to be_empty
    end

    describe "when the session that has the slots has gone silent" do
      let(:proxy) { Proxy.new(URI(SpecDatabase.url).port) }

      before do
        stub_const("GoodJob::Slots::ANSWER_TIMEOUT_S", 1)
        watched_job(perform_limit: 2)
      end

      # A thread that is killed while Active Record connects leaves a connection in the pool that never works.
      after do
        SpecDatabase.connect
        proxy.remove
      end

      # Only that session goes by the proxy: it is made when the first job asks for a slot.
      def capsule_with_slots_by_proxy
        capsule = start_capsule(max_threads: 4)
        ActiveRecord::Base.establish_connection("#{proxy.url(SpecDatabase.url)}?pool=#{SpecDatabase::POOL_SIZE}")
        wait_until_finished(MouseJob.perform_later)
        SpecDatabase.connect
        capsule
      end

      it "go on, and hold, though the server takes it for alive" do
        capsule_with_slots_by_proxy
        jobs = Array.new(40) { MouseJob.perform_later(0.05) }
        wait_until("some to run") { events.size > 6 }
        proxy.forget
        wait_until_finished(*jobs)
        expect(most_at_once).to eq 2
        expect(GoodJob::Execution.count).to eq 41
      end

      it "hold up no shutdown" do
        stub_const("GoodJob::Slots::ANSWER_TIMEOUT_S", 60)
        stub_const("GoodJob::Capsule::KILL_GRACE_S", 0.5)
        stub_const("GoodJob::Capsule::CHORES_GRACE_S", 0.1)
        capsule = capsule_with_slots_by_proxy
        Array.new(4) { MouseJob.perform_later }
        proxy.forget
        wait_until("a thread to wait for a slot") { capsule.snapshot[:pools].first[:active_threads].positive? }
        ending = Thread.new { capsule.shutdown(timeout: 0) }
        expect(ending.join(10)).to be ending
        expect(capsule).to be_shutdown
        proxy.cut_forgotten
        wait_until("the threads to end") { Thread.list.none? { |thread| thread.name.to_s.match?(/\Agood_job (?:\*|slots|end)/) } }
      end
    end

    it "give back what was fetched and not run when the process shuts down" do
      watched_job(perform_limit: 1)
      jobs = Array.new(50) { MouseJob.perform_later }
      capsule = start_capsule(max_threads: 2)
      wait_until("jobs to be handed on") { events.size > 10 }
      capsule.shutdown
      expect(GoodJob::Job.where.not(locked_by_id: nil)).to be_empty
      expect(GoodJob::Job.where(finished_at: nil).where.not(executions_count: [nil, 0])).to be_empty
      run_jobs(max_threads: 2)
      expect(jobs.map { |job| row(job) }).to all(have_attributes(executions_count: 1, status: :succeeded))
    end

    it "cost a job that has none nothing: no session, no statement of its own" do
      limited_job
      start_capsule
      wait_until("a worker to listen") { capsules.last.snapshot[:listening] }
      expect(statements { wait_until_finished(*Array.new(5) { RecordJob.perform_later }) }.grep(/slot|parked|advisory/)).to be_empty
      expect(sessions_for_slots("pid")).to be_empty
    end

    it "raise the error where the class handles it itself" do
      watched_job(perform_limit: 0) { discard_on(GoodJob::ActiveJobExtensions::Concurrency::ConcurrencyExceededError) }
      job = MouseJob.perform_later
      run_jobs
      expect(row(job)).to have_attributes(error: /\AGoodJob::ActiveJobExtensions::Concurrency::ConcurrencyExceededError: /, error_event: "discarded")
      expect(events).to be_empty
    end

    it "retry with a growing delay in the inline mode, where nothing can wait" do
      limited_job(perform_limit: 0)
      use_adapter(:inline)
      job = MouseJob.perform_later
      expect(row(job)).to have_attributes(error: /ConcurrencyExceededError/, error_event: "retried", finished_at: nil)
      expect(row(job).scheduled_at).to be > Time.current
    end

    it "do not hold for perform_now" do
      limited_job(perform_limit: 0)
      MouseJob.perform_now
      expect(events).to eq ["ran"]
    end

    it "hold again when the process that ran the jobs is killed" do
      application = <<~RUBY
        config.after_initialize do
          LatchedJob.include(GoodJob::ActiveJobExtensions::Concurrency)
          LatchedJob.good_job_control_concurrency_with(perform_limit: 1)
        end
      RUBY
      LatchedJob.define_method(:good_job_concurrency_key) { "LatchedJob" }
      first = running_worker("--max-threads=3", configuration: application)
      jobs = Array.new(5) { LatchedJob.perform_later(latch.path) }
      wait_until("one to run and the others to be parked") { events == ["started"] && GoodJob::Job.where("scheduled_at > ?", 1.minute.from_now).count == 4 }
      second = running_worker("--max-threads=3", configuration: application)
      first.signal(:KILL)
      wait_until("the second worker to run one", limit_seconds: 60) { SpecRun.where(pid: second.pid).any? }
      latch.open
      wait_until_finished(*jobs, limit_seconds: 60)
      expect(SpecRun.where(event: "finished").distinct.count(:job_id)).to eq 5
    ensure
      LatchedJob.send(:remove_method, :good_job_concurrency_key)
    end
  end

  describe "throttles at performing" do
    it "let so many start in a time, and the next when there is room" do
      watched_job(perform_throttle: [3, 2])
      jobs = Array.new(8) { MouseJob.perform_later(0) }
      start_capsule(max_threads: 4, poll_interval: 1)
      wait_until_finished(*jobs, limit_seconds: 30)
      starts = GoodJob::Execution.order(:created_at).pluck(:created_at)
      expect(starts.each_cons(4).map { |four| four.last - four.first }.min).to be >= 1.95
      expect(GoodJob::Execution.where.not(error: nil)).to be_empty
      expect(starts.last - starts.first).to be < 12
    end
  end
end
