# frozen_string_literal: true

require "socket"
require "good_job/cli"
require_relative "../support/integration"
require_relative "../support/listener"

RSpec.describe "What settings do", :database, :integration do
  def configure(**settings)
    new_capsule(**settings).configuration
  end

  describe "those of an application" do
    it "become GoodJob's own: what is kept, what runs again, who is told of errors, and the log" do
      script = rails("runner", <<~RUBY, configuration: <<~APPLICATION)
        puts [GoodJob.preserve_job_records, GoodJob.retry_on_unhandled_error, GoodJob.logger.equal?(SpecApplication::LOGGER)].inspect
        GoodJob.on_thread_error.call(IOError.new("wet"))
      RUBY
        LOGGER = Logger.new(nil)
        config.good_job.logger = LOGGER
        config.good_job.preserve_job_records = :on_unhandled_error
        config.good_job.retry_on_unhandled_error = "true"
        config.good_job.on_thread_error = ->(error) { puts "told of \#{error.message}" }
      APPLICATION
      expect(script.wait).to be_success
      expect(script.output).to include "[:on_unhandled_error, true, true]", "told of wet"
    end

    it "say what becomes of deprecations, of GoodJob's as of Rails' own" do
      skip "Rails has no list of deprecators" unless defined?(ActiveSupport::Deprecation::Deprecators)

      script = rails("runner", "GoodJob.v4_ready?", configuration: "config.active_support.deprecation = :raise")
      expect(script.wait).not_to be_success
      expect(script.output).to match(/ActiveSupport::DeprecationException/)
    end

    it "may say nil: nothing is kept; where they say nothing, the log is Rails' own, and nothing runs before they are read" do
      script = rails("runner", <<~RUBY, configuration: <<~APPLICATION)
        puts [GoodJob.logger.equal?(Rails.logger), GoodJob.preserve_job_records, GoodJob.async_ready?, GoodJob.cli?].inspect
        puts GoodJob.configuration.pidfile.delete_prefix(Rails.root.to_s)
      RUBY
        config.good_job.preserve_job_records = nil
        initializer("looks") { puts "at first: \#{GoodJob.async_ready?}" }
      APPLICATION
      expect(script.wait).to be_success
      expect(script.output).to include "at first: false", "[true, nil, true, false]", "/tmp/pids/good_job.pid"
    end
  end

  describe "enable_listen_notify" do
    before { ActiveJob::Base.queue_adapter = GoodJob::Adapter.new(execution_mode: :external, _capsule: new_capsule(enable_listen_notify: announced)) }

    let(:announced) { true }

    def enqueue
      Listener.during(SpecDatabase.url) { [RecordJob.perform_later, ActiveJob::Base.queue_adapter.enqueue_all([RecordJob.new])] }
    end

    it "has jobs announced" do
      expect(enqueue.size).to eq 2
    end

    context "when it is false" do
      let(:announced) { false }

      it "has them announced to nobody, and nobody listens: they are found by polling" do
        expect(enqueue).to be_empty
        capsule = start_capsule(enable_listen_notify: false, poll_interval: 0.1)
        wait_until("the first jobs to run") { unfinished_jobs.none? }
        wait_until_finished(RecordJob.perform_later)
        expect(capsule.snapshot).to include(connected: true, listening: false)
      end
    end
  end

  describe "lower_thread_priority" do
    it "has the threads that run jobs let the application's others go first" do
      stub_const("PriorityJob", Class.new(ActiveJob::Base) { def perform = SpecRun.record(self, Thread.current.priority.to_s) })
      [true, false].each do |lower|
        PriorityJob.perform_later
        run_jobs(lower_thread_priority: lower)
      end
      expect(events).to eq %w[-3 0]
    end
  end

  describe "lock_strategy" do
    it "is by leases alone unless something else is said" do
      job = LatchedJob.perform_later(latch.path)
      start_capsule
      wait_for_event(job, "started")
      expect(row(job)).to have_attributes(lock_type: "skiplocked", advisory_locked?: false)
    end
  end

  describe "max_cache and queue_select_limit" do
    it "limit nothing: all future jobs run in time, and one that is locked is in nobody's way" do
      jobs = Array.new(2) { RecordJob.perform_later }
      later = Array.new(3) { RecordJob.set(wait: 0.3).perform_later }
      PG.connect(SpecDatabase.url) do |session|
        session.exec("SELECT pg_advisory_lock(('x' || substr(md5('good_jobs-#{jobs.first.job_id}'), 1, 16))::bit(64)::int8)")
        start_capsule(lock_strategy: :advisory, max_cache: 0, queue_select_limit: 1)
        wait_until_finished(jobs.last, *later)
        expect(row(jobs.first)).to have_attributes(performed_at: nil)
      end
    end
  end

  describe "enable_cron" do
    it "starts nothing where there are no entries" do
      start_capsule(enable_cron: true)
      wait_until_finished(RecordJob.perform_later)
      expect(Thread.list.map(&:name)).not_to include("good_job cron")
      wait_until("the process's row") { GoodJob::Process.any? }
      expect(GoodJob::Process.first.state).to include("cron_enabled" => false)
    end
  end

  describe "cleaning up" do
    def ended(error: nil)
      job = RecordJob.perform_later
      GoodJob::Job.where(id: job.job_id).update_all(finished_at: 1.hour.ago, performed_at: 1.hour.ago, error: error)
      job.job_id
    end

    after { GoodJob.configuration = nil }

    it "leaves discarded jobs alone where cleanup_discarded_jobs is false" do
      discarded = ended(error: "E: m")
      ended
      GoodJob.configuration = configure(cleanup_discarded_jobs: false)
      expect(GoodJob.cleanup_preserved_jobs(older_than: 60)).to eq 1
      expect(GoodJob::Job.ids).to eq [discarded]
      expect(GoodJob.cleanup_preserved_jobs(older_than: 60, include_discarded: true)).to eq 1
    end

    it "is done at every look where cleanup_interval_jobs is -1, by the same rule" do
      discarded = ended(error: "E: m")
      ended
      start_capsule(cleanup_discarded_jobs: false, cleanup_preserved_jobs_before_seconds_ago: 60, cleanup_interval_jobs: -1, cleanup_interval_seconds: false)
      wait_until("the job that succeeded to be deleted") { GoodJob::Job.ids == [discarded] }
    end
  end

  describe "flags of the command" do
    def free_port
      TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    end

    it "set how often it polls, and whether it listens; those that limit nothing are taken, too" do
      worker = running_worker("--poll-interval=0.1", "--enable-listen-notify=false", "--max-cache=5", "--queue-select-limit=7",
                              configuration: 'config.after_initialize { puts "executable: " + GoodJob.cli?.to_s }')
      wait_until_finished(RecordJob.perform_later)
      wait_until_finished(RecordJob.perform_later)
      expect(worker.output).to include "executable: true"
      expect(worker.output).not_to include "LISTEN"
    end

    it "quote a value that none of them can have" do
      { "--poll-interval" => "often", "--max-cache" => "-1", "--queue-select-limit" => "0", "--enable-listen-notify" => "perhaps",
        "--idle-timeout" => "-1", "--probe-handler" => "puma" }.each do |flag, value|
        command = GoodJob::CLI.new([], { flag.delete_prefix("--").tr("-", "_") => value })
        allow(command).to receive(:load_application)
        expect { command.start }.to raise_error(Thor::Error, /#{flag.delete_prefix("--").tr("-", "_")} is "#{value}", but must be/)
      end
    end

    it "have the probes served by WEBrick, where it is, and probe_app answer them" do
      port = free_port
      worker = running_worker("--probe-port=#{port}", "--probe-handler=webrick",
                              configuration: 'config.good_job.probe_app = ->(env) { [200, {}, ["cheese at ", env["PATH_INFO"]]] }')
      response = wait_until("an answer") { Net::HTTP.get_response("127.0.0.1", "/mice", port) rescue nil } # rubocop:disable Style/RescueModifier
      expect(response.body).to eq "cheese at /mice"
      without_it = worker.output.include?("WEBrick is not installed")
      expect(response["Server"].to_s.include?("WEBrick")).to be !without_it
    end

    it "have the pidfile at tmp/pids/good_job.pid in the application unless they say where" do
      root = File.dirname(latch.path)
      worker = good_job("--daemonize", configuration: "config.root = #{root.inspect}")
      expect(worker.wait).not_to be_success
      expect(worker.output).to include "the pidfile #{root}/tmp/pids/good_job.pid cannot be written: there is no directory #{root}/tmp/pids"
    end
  end
end
