# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "Modes of execution", :database, :integration do
  # What a script prints of the threads of GoodJob, Ruby's and Rust's, that the system sees in its process.
  # Evaluated in the application, not here.
  own_threads = '"threads: #{Dir["/proc/self/task/*/comm"].map { |file| File.read(file).chomp }.grep(/good_job/)}"' # rubocop:disable Lint/InterpolationCheck

  # Where `rails runner` wraps a script in the executor, the same query is answered from memory, however long one waits.
  def runner(script, mode:)
    rails("runner", "include WaitUntil\nActiveRecord::Base.connection.disable_query_cache!\n#{script}", env: { "GOOD_JOB_EXECUTION_MODE" => mode })
  end

  # @return [Array<Integer>] the server processes of the workers' runtimes
  def sessions
    Postgres.execute(SpecDatabase.url, <<~SQL).map { |row| Integer(row.fetch("pid")) }
      SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'GoodJob' ORDER BY pid
    SQL
  end

  describe "in a process that serves no web requests" do
    %w[external async async_server].each do |mode|
      it "runs nothing with #{mode}" do
        script = runner("RecordJob.perform_later; puts %(running: \#{GoodJob.capsule.running?}, \#{#{own_threads}})", mode: mode)
        expect(script.wait).to be_success
        expect(script.output).to include "running: false, threads: []"
        expect(GoodJob::Job.queued.count).to eq 1
        expect(registered_pids).to be_empty
      end
    end

    it "runs jobs with async_all, lets them end when the process exits, and takes leave" do
      script = runner(<<~RUBY, mode: "async_all")
        quick = RecordJob.perform_later
        wait_until { SpecRun.where(job_id: quick.job_id).any? }
        slow = LatchedJob.perform_later(#{latch.path.inspect})
        wait_until { SpecRun.where(job_id: slow.job_id).any? }
        puts "the script ends"
      RUBY
      script.wait_for_output(/the script ends/)
      wait_until("the runtime to drain") { script.output.include?("GoodJob is shutting down") }
      expect(script).to be_alive
      latch.open
      expect(script.wait).to be_success

      expect(events).to eq %w[ran started finished]
      expect(SpecRun.distinct.pluck(:pid)).to eq [script.pid]
      expect(GoodJob::Job.succeeded.count).to eq 2
      expect([registered_pids, sessions]).to eq [[], []]
    end
  end

  it "are not asked when a process wants to know whether it runs in a web server" do
    script = runner("puts %(in a web server: \#{GoodJob.configuration.in_webserver?})", mode: "async_all")
    expect(script.wait).to be_success
    expect(script.output).to include "in a web server: false"
    expect(get(puma(env: { "GOOD_JOB_EXECUTION_MODE" => "external" }), "/in_webserver").body).to eq "true"
  end

  describe "async in Puma, without a hook in puma.rb" do
    it "runs jobs in the one process of single mode" do
      server = puma
      expect(get(server, "/pid").body).to eq server.pid.to_s
      job_id = post(server, "/jobs").body
      wait_until("the job to run") { SpecRun.where(job_id: job_id).pluck(:pid) == [server.pid] }
      expect(registered_pids).to eq [server.pid]
      stop_server(server)
      expect([registered_pids, sessions]).to eq [[], []]
    end

    it "runs jobs in the mode async_server, too" do
      server = puma(env: { "GOOD_JOB_EXECUTION_MODE" => "async_server" })
      job_id = post(server, "/jobs").body
      wait_until("the job to run") { SpecRun.where(job_id: job_id).pluck(:pid) == [server.pid] }
    end

    it "runs jobs under `rails server` too" do
      pidfile = "#{latch.path}.pid"
      server = rails("server", "--port=0", "--binding=127.0.0.1", "--pid=#{pidfile}",
                     env: { "GOOD_JOB_EXECUTION_MODE" => "async", "WEB_CONCURRENCY" => "0" })
      job_id = post(server, "/jobs").body
      wait_until("the job to run") { SpecRun.where(job_id: job_id).pluck(:pid) == [server.pid] }
    end

    it "runs jobs in the workers of a cluster that preloads, and none in its master" do
      server = puma(workers: 2, preload: true, env: { "GOOD_JOB_MAX_THREADS" => "2" })
      wait_until("two process rows", limit_seconds: 30) { registered_pids.size == 2 }
      workers = server.children
      expect(registered_pids).to match_array(workers)

      jobs = Array.new(4) { LatchedJob.perform_later(latch.path) }
      wait_until("all threads to be busy") { SpecRun.count == 4 }
      expect(SpecRun.group(:pid).count).to eq(workers.to_h { |pid| [pid, 2] })
      latch.open
      wait_until_finished(*jobs)

      job_ids = Array.new(10) { post(server, "/jobs").body }
      wait_until("the jobs of the web requests to run") { SpecRun.where(job_id: job_ids).count == 10 }
      expect(SpecRun.distinct.pluck(:pid) - workers).to be_empty
      stop_server(server)
      expect([registered_pids, sessions]).to eq [[], []]
    end

    it "runs jobs in the workers, and leaves nothing behind, with the hooks that GoodJob needs as well" do
      server = puma(workers: 2, preload: true, env: { "GOOD_JOB_HOOKS" => "1" })
      wait_until("two process rows", limit_seconds: 30) { registered_pids.size == 2 }
      expect(registered_pids).to match_array(server.children)
      wait_until_finished(*Array.new(4) { RecordJob.perform_later })
      stop_server(server)
      expect([registered_pids, sessions]).to eq [[], []]
      expect(server.output).not_to match(/hook \S+ failed/)
    end

    it "runs jobs in a worker that replaces one that was killed" do
      server = puma(workers: 2, preload: true)
      wait_until("two process rows", limit_seconds: 30) { registered_pids.size == 2 }
      victim, survivor = server.children
      Process.kill(:KILL, victim)
      wait_until("another worker", limit_seconds: 30) { (server.children - [victim, survivor]).any? }
      replacement = (server.children - [survivor]).first
      wait_until("its process row", limit_seconds: 30) { registered_pids.include?(replacement) }
    end

    it "goes on through a phased restart of a cluster that does not preload, and loses no job" do
      server = puma(workers: 2)
      wait_until("two process rows", limit_seconds: 30) { registered_pids.size == 2 }
      before = server.children
      running = LatchedJob.perform_later(latch.path)
      wait_for_event(running, "started")

      server.signal(:USR1)
      wait_until("the restart to begin", limit_seconds: 30) { server.output.match?(/phased worker restart/) }
      jobs = Array.new(20) { RecordJob.perform_later }
      latch.open
      wait_until("new workers, and only these", limit_seconds: 40) { server.children.size == 2 && (server.children & before).empty? }
      wait_until("their process rows, and only these", limit_seconds: 30) { registered_pids.sort == server.children.sort }
      jobs += Array.new(5) { RecordJob.perform_later }
      wait_until_finished(running, *jobs)

      expect(SpecRun.where(event: "ran").group(:job_id).count.values).to eq [1] * 25
      expect(events(running)).to eq %w[started finished]
      expect(GoodJob::Job.where.not(executions_count: 1)).to be_empty
    end
  end

  describe "async in Puma whose first worker forks the others" do
    # @return [Hash{Integer => Integer}] the workers' pids by their number, the latest of each
    def workers(server)
      server.output.scan(/Worker (\d) \(PID: (\d+)\) booted/).to_h { |pair| pair.map { |number| Integer(number) } }
    end

    def expect_jobs_to_run(server)
      wait_until("their process rows, and only these", limit_seconds: 30) { registered_pids.sort == workers(server).values.sort }
      jobs = Array.new(4) { LatchedJob.perform_later(latch.path) }
      wait_until("all threads of both to be busy") { SpecRun.where(job_id: jobs.map(&:job_id), event: "started").count == 4 }
      expect(SpecRun.where(job_id: jobs.map(&:job_id)).group(:pid).count).to eq(workers(server).values.to_h { |pid| [pid, 2] })
      latch.open
      wait_until_finished(*jobs)
      File.delete(latch.path)
      jobs
    end

    it "runs jobs in each, after the others are forked anew, and after a phased restart" do
      server = puma(workers: 2, fork_worker: true, env: { "GOOD_JOB_MAX_THREADS" => "2" })
      wait_until("two workers", limit_seconds: 30) { workers(server).size == 2 }
      jobs = expect_jobs_to_run(server)

      first = workers(server)
      server.signal(:URG)
      wait_until("another second worker", limit_seconds: 30) { workers(server)[1] != first[1] }
      expect(workers(server)[0]).to eq first[0]
      jobs.concat(expect_jobs_to_run(server))

      server.signal(:USR1)
      wait_until("two other workers", limit_seconds: 30) { (workers(server).values & first.values).empty? && workers(server)[1] }
      jobs.concat(expect_jobs_to_run(server))

      stop_server(server)
      expect([registered_pids, sessions]).to eq [[], []]
      expect(SpecRun.group(:job_id, :event).count.values.uniq).to eq [1]
      expect(GoodJob::Job.succeeded.where(executions_count: 1).count).to eq jobs.size
    end
  end

  describe "a process that forks" do
    it "keeps its connections and goes on, and the child can enqueue" do
      script = ruby(<<~RUBY)
        capsule = GoodJob::Capsule.new(configuration: GoodJob::Configuration.new({ max_threads: 2, poll_interval: -1 }))
        capsule.start
        RecordJob.perform_later
        wait_until { SpecRun.count == 1 }
        sessions = -> { SpecRun.connection.select_values("SELECT pid FROM pg_stat_activity WHERE application_name = 'GoodJob' AND datname = current_database() ORDER BY pid") }
        wait_until { sessions.call.size == 3 }
        before = sessions.call

        child = fork do
          2.times { RecordJob.perform_later }
          puts "in the child: running \#{capsule.running?}, \#{#{own_threads}}"
        end
        Process.wait(child)
        puts "child ended: \#{$?.exitstatus}"

        wait_until { SpecRun.count == 3 }
        RecordJob.perform_later
        wait_until { SpecRun.count == 4 }
        puts "same sessions: \#{sessions.call == before}, \#{before.size}"
        capsule.shutdown
      RUBY
      expect(script.wait).to be_success
      expect(script.output).to include("in the child: running false, threads: []", "child ended: 0").and include("same sessions: true, 3")
      expect(SpecRun.distinct.pluck(:pid)).to eq [script.pid]
      expect(sessions).to be_empty
    end

    it "has children that run jobs themselves with async_all, from their first enqueue on" do
      script = runner(<<~RUBY, mode: "async_all")
        own_row = -> { GoodJob::Process.all.any? { |process| process.state["pid"] == Process.pid } }
        wait_until { own_row.call }
        child = fork do
          RecordJob.perform_later
          wait_until { own_row.call }
        end
        Process.wait(child)
        puts "child ended: \#{$?.exitstatus}, parent registered: \#{own_row.call}"
      RUBY
      expect(script.wait).to be_success
      expect(script.output).to include "child ended: 0, parent registered: true"
      expect([registered_pids, sessions]).to eq [[], []]
      expect(events).to eq ["ran"]
    end
  end

  describe "an adapter" do
    def adapter(execution_mode, **settings)
      GoodJob::Adapter.new(execution_mode: execution_mode, _capsule: new_capsule(**settings))
    end

    it "starts its capsule where its mode says so, and shuts it down" do
      async, external = %i[async_all external].map { |mode| adapter(mode) }
      started = -> { [async, external].map(&:async_started?) + capsules.map(&:running?) }
      expect(started.call).to eq [false, false, false, false]
      [async, external].each(&:start_async)
      expect(started.call).to eq [true, false, true, false]
      async.shutdown(timeout: 5)
      expect(started.call).to eq [false, false, false, false]
      expect(capsules.first).to be_shutdown
    end

    it "has a mode of its own, or the one that is configured" do
      expect([:inline, nil].map { |mode| adapter(mode, execution_mode: :async_all).execution_mode }).to eq %i[inline async_all]
    end

    it "is among those of its process" do
      own = adapter(:external)
      expect(GoodJob::Adapter.instances).to include(own)
    end
  end

  describe "a process row" do
    it "says what the process is and how its pools are doing, and goes with it" do
      capsule = start_capsule(queues: "mice:2;*:1")
      wait_until("the row") { GoodJob::Process.any? }
      process = GoodJob::Process.first
      expect(process).to have_attributes(id: capsule.process_id, lock_type: "advisory")
      expect(process.state).to include("hostname" => Socket.gethostname, "pid" => Process.pid, "proctitle" => $PROGRAM_NAME,
                                       "runtime" => "good_job_rs")
      expect(process.schedulers.map { |pool| pool.values_at("queues", "max_threads") }).to eq [["mice", 2], ["*", 1]]
      capsule.shutdown
      expect(GoodJob::Process.count).to eq 0
    end

    it "says what is kept and run again, whether cron runs, and how many jobs have run, in all and in each pool" do
      stub_const("KeyJob", Class.new(ActiveJob::Base) do
        discard_on(KeyError)

        def perform
          raise KeyError
        end
      end)
      GoodJob.preserve_job_records = :on_unhandled_error
      GoodJob.retry_on_unhandled_error = true
      start_capsule(queues: "mice:3;rats:1", enable_cron: true, cron: { yearly: { class: "RecordJob", cron: "0 0 1 1 *" } })
      2.times { RecordJob.set(queue: "mice").perform_later }
      KeyJob.set(queue: "rats").perform_later
      wait_until("these to be gone") { GoodJob::Job.none? }
      wait_for_event(LatchedJob.set(queue: "mice").perform_later(latch.path), "started")
      process = -> { GoodJob::Process.first }
      wait_until("the row to know") { process.call.schedulers.sum { |pool| pool["total_executions_count"] + pool["active_threads"] } == 4 }

      expect(process.call.state).to include(
        "preserve_job_records" => "on_unhandled_error", "retry_on_unhandled_error" => true, "cron_enabled" => true,
        "total_succeeded_executions_count" => 2, "total_errored_executions_count" => 1
      )
      expect(process.call.schedulers).to match [
        include("name" => /mice/, "active_threads" => 1, "available_threads" => 2, "succeeded_executions_count" => 2,
                "errored_executions_count" => 0, "total_executions_count" => 2, "empty_executions_count" => be_positive),
        include("name" => /rats/, "active_threads" => 0, "available_threads" => 1, "succeeded_executions_count" => 0,
                "errored_executions_count" => 1, "total_executions_count" => 1, "empty_executions_count" => be_positive)
      ]
    end

    it "is touched every few seconds, whatever the jobs do" do
      start_capsule(max_threads: 1)
      job = LatchedJob.perform_later(latch.path)
      wait_for_event(job, "started")
      first = GoodJob::Process.first.updated_at
      wait_until("a heartbeat") { GoodJob::Process.first.updated_at > first }
    end
  end
end
