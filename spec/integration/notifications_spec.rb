# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "Notifications", :database, :integration do
  # @param names [Regexp, String]
  # @yieldparam told [Array<Array(String, Hash)>] name and payload of what has been told so far
  # @return [Array<Array(String, Hash)>] of all that was told during the block
  def listening_to(names)
    told = []
    note = ->(name, *, payload) { told << [name.delete_suffix(".good_job"), payload] }
    ActiveSupport::Notifications.subscribed(note, names) { yield told }
    told
  end

  # @return [Array<Hash>]
  def payloads_of(name, &block)
    listening_to("#{name}.good_job", &block).map(&:last)
  end

  describe "of an enqueue" do
    it "say when the job is due, and whether it is locked" do
      time = Time.utc(2040)
      payloads = payloads_of("enqueue_job") do
        RecordJob.perform_later
        RecordJob.set(wait_until: time).perform_later
      end
      expect(payloads.map { |payload| payload.values_at(:scheduled_at, :create_with_advisory_lock) }).to eq [[nil, false], [time, false]]
    end

    it "are not sent of jobs that are enqueued many at once" do
      alone = nil
      payloads = payloads_of("enqueue_job") do
        ActiveJob::Base.queue_adapter.enqueue_all([RecordJob.new, RecordJob.new])
        alone = RecordJob.perform_later
      end
      expect(payloads.map { |payload| payload[:active_job] }).to eq [alone]
    end

    it "say which job was refused by a limit, or by a throttle" do
      stub_const("MouseJob", Class.new(ActiveJob::Base) do
        include GoodJob::ActiveJobExtensions::Concurrency

        good_job_concurrency_rule(key: "cheese", enqueue_limit: 1)
      end)
      stub_const("RatJob", Class.new(ActiveJob::Base) do
        include GoodJob::ActiveJobExtensions::Concurrency

        good_job_concurrency_rule(key: "bread", enqueue_throttle: [1, 60])
      end)
      told = listening_to(/\Aenqueue_concurrency_/) { [MouseJob, RatJob].each { |job_class| 2.times { job_class.perform_later } } }
      expect(told).to match [
        ["enqueue_concurrency_limit_exceeded", { job: be_a(MouseJob), key: "cheese", limit: 1 }],
        ["enqueue_concurrency_throttle_exceeded", { job: be_a(RatJob), key: "bread", limit: 1 }]
      ]
      expect(told.map { |_name, payload| GoodJob::Job.exists?(payload[:job].job_id) }).to eq [false, false]
    end
  end

  describe "of a run" do
    before do
      stub_const("MouseJob", Class.new(ActiveJob::Base) do
        retry_on(IOError, wait: 3600, attempts: 2)
        discard_on(KeyError)
        rescue_from(ZeroDivisionError) { nil }

        def perform(error = nil)
          error ? raise(error.constantize, "no cheese") : :cheese
        end
      end)
    end

    # @return [Hash{String, nil => Hash}] what was told of one run each, by the error that the job raises
    def runs_with(*errors)
      jobs = errors.to_h { |error| [error, MouseJob.perform_later(error)] }
      payloads = payloads_of("perform_job") do |told|
        start_capsule
        wait_until("#{errors.size} runs to be told") { told.size == errors.size }
      end
      jobs.transform_values { |job| payloads.find { |payload| payload[:job].id == job.job_id } }
    end

    it "say what became of it" do
      told = runs_with(nil, "ZeroDivisionError", "IOError", "KeyError", "ArgumentError")
      expect(told.transform_values { |payload| payload.values_at(:handled_error, :unhandled_error, :retried, :error_event) }).to match(
        nil => [nil, nil, false, nil],
        "ZeroDivisionError" => [be_a(ZeroDivisionError), nil, false, :handled],
        "IOError" => [be_a(IOError), nil, true, :retried],
        "KeyError" => [be_a(KeyError), nil, false, :discarded],
        "ArgumentError" => [nil, be_an(ArgumentError), false, :unhandled]
      )
      expect(told.each_value.map { |payload| payload[:error]&.message }).to eq [nil, *["no cheese"] * 4]
      expect(told.fetch(nil)[:value]).to eq :cheese
    end

    it "say of which job it is, and where it runs" do
      job = nil
      payloads = payloads_of("perform_job") do |told|
        job = MouseJob.set(queue: "mice", priority: 3).perform_later
        start_capsule(max_threads: 1)
        wait_until("the run to be told") { told.any? }
      end
      known = have_attributes(id: job.job_id, active_job_id: job.job_id, job_class: "MouseJob", queue_name: "mice", priority: 3,
                              serialized_params: include("job_id" => job.job_id, "arguments" => []))
      expect(payloads).to match [include(job: known, execution: known, process_id: Process.pid, thread_name: "good_job * 1")]
    end

    it "say where it runs of a thread without a name, too" do
      use_adapter(:inline)
      payloads = payloads_of("perform_job") do
        Thread.new { ActiveRecord::Base.connection_pool.with_connection { MouseJob.perform_later } }.join
      end
      expect(payloads).to match [include(value: :cheese, process_id: Process.pid, thread_name: /\A\d+\z/)]
    end
  end

  describe "of a capsule" do
    it "say how its pools are started, that it is shut down and for how long it waits, and that it is restarted" do
      told = listening_to(/\Ascheduler_/) do |sent|
        capsule = start_capsule(queues: "mice:1;rats:2")
        capsule.restart(timeout: 3)
        capsule.shutdown(timeout: -1)
        wait_until("the end to be told") { sent.count { |name, _payload| name == "scheduler_shutdown" } == 2 }
      end
      payloads = told.group_by(&:first).transform_values { |pairs| pairs.map(&:last) }

      expect(payloads.keys).to contain_exactly("scheduler_create_pool", "scheduler_restart_pools", "scheduler_shutdown_start", "scheduler_shutdown")
      expect(payloads["scheduler_create_pool"].map { |payload| payload.values_at(:performer_name, :max_threads) })
        .to eq [["mice", 1], ["rats", 2]] * 2
      expect(payloads["scheduler_restart_pools"].size).to eq 1
      expect(payloads["scheduler_shutdown_start"].map { |payload| payload[:timeout] }).to eq [3, -1]
      expect(payloads["scheduler_shutdown"].map { |payload| payload[:timeout] }).to eq [3, -1]
    end

    it "say which, in which process and thread" do
      capsule = nil
      told = listening_to(/\Ascheduler_/) do |sent|
        capsule = start_capsule
        job = LatchedJob.perform_later(latch.path)
        wait_for_event(job, "started")
        capsule.restart(timeout: 0)
        Thread.new { capsule.shutdown(timeout: 0) }.join
        wait_until("the end to be told") { sent.count { |name, _payload| name == "scheduler_shutdown" } == 2 }
      end
      expect(told.map(&:first).uniq.size).to eq 5
      expect(told.map(&:last)).to all(include(scheduler: capsule, process_id: Process.pid, thread_name: /\S/))
    end

    it "say which jobs its shutdown has interrupted" do
      job = nil
      payloads = payloads_of("scheduler_shutdown_kill") do
        capsule = start_capsule
        job = LatchedJob.perform_later(latch.path)
        wait_for_event(job, "started")
        capsule.shutdown(timeout: 0)
      end
      expect(payloads).to match [include(active_job_ids: [job.job_id])]
    end

    it "say which cron entries it starts with" do
      payloads = payloads_of("cron_manager_start") do
        start_capsule(enable_cron: true, cron: { yearly: { class: "RecordJob", cron: "0 0 1 1 *" }, rare: { class: "RecordJob", cron: "0 0 2 1 *" } })
      end
      expect(payloads).to match [{ cron_entries: contain_exactly(have_attributes(key: :yearly), have_attributes(key: :rare)) }]
    end

    it "say that it listens, and what it hears" do
      told = listening_to(/\Anotifier_/) do |sent|
        start_capsule
        wait_until("LISTEN to be told") { sent.any? }
        RecordJob.set(queue: "mice").perform_later
        wait_until("an announcement to be told") { sent.size > 1 }
      end
      expect(told.first).to eq ["notifier_listen", {}]
      expect(told.last.first).to eq "notifier_notified"
      expect(JSON.parse(told.last.last[:payload])).to include("queue_name" => "mice")
    end

    it "say why the database cannot be reached" do
      payloads = payloads_of("notifier_notify_error") do |sent|
        capsule = start_capsule
        wait_until("it to listen") { capsule.snapshot[:listening] }
        SpecDatabase.closed { wait_until("the error to be told") { sent.any? } }
      end
      expect(payloads).to all(match(error: be_a(GoodJob::DatabaseError).and(have_attributes(message: /not currently accepting connections|terminat/))))
    end
  end

  # Active Job itself listens to the beginning as it does to the end.
  it "of Active Job's that say how a job was performed have no listener here" do
    process = ruby(<<~'RUBY')
      listeners = ->(name) { ActiveSupport::Notifications.notifier.listeners_for("#{name}.active_job").size }
      capsule = GoodJob::Capsule.new(configuration: GoodJob::Configuration.new({ max_threads: 1 })).tap(&:start)
      job = RecordJob.perform_later
      wait_until("the job to run") { SpecRun.where(job_id: job.job_id).any? }
      puts "#{listeners.call("perform") - listeners.call("perform_start")} more, #{listeners.call("discard") - listeners.call("perform_start")} more"
      capsule.shutdown
    RUBY
    expect(process.wait_for_output(/(\d+) more, (\d+) more/).captures).to eq %w[0 1]
    expect(process.wait.exitstatus).to eq 0
  end

  it "of systemd's watchdog say how often it is told, and why it cannot be" do
    told = listening_to(/\Asystemd_/) do
      systemd = GoodJob::Systemd.new({ "NOTIFY_SOCKET" => "/nowhere", "WATCHDOG_USEC" => "5000000" })
      systemd.start
      systemd.stop
    end
    expect(told.to_h).to match("systemd_watchdog_start" => { interval: 2.5 }, "systemd_watchdog_error" => { error: be_a(Errno::ENOENT) })
  end
end
