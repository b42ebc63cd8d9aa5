# frozen_string_literal: true

require_relative "../support/integration"
require_relative "../support/proxy"

RSpec.describe "Forks", :database, :integration do
  # @return [Array<Integer>] the server processes of the workers' runtimes
  def sessions
    Postgres.execute(SpecDatabase.url, <<~SQL).map { |row| Integer(row.fetch("pid")) }
      SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'GoodJob' ORDER BY pid
    SQL
  end

  # @return [String] of a process, as the kernel names it: "T" stopped, "Z" ended and not waited for
  def state_of(pid)
    File.read("/proc/#{pid}/stat")[/\) (\w)/, 1]
  end

  describe "inside a job" do
    { "ends with its block" => "0", "leaves by exit!" => "0", "is killed" => "9", "executes another program" => "0",
      "goes on with the job, and with what runs jobs" => "0" }.each do |way, status|
      it "leave the worker what it was, and what the child enqueues runs: a child that #{way}" do
        @worker = running_worker("--max-threads=2")
        wait_until_finished(RecordJob.perform_later)
        before = wait_until("three sessions") { sessions.then { |pids| pids if pids.size == 3 } }
        job = ForkingJob.perform_later(way)
        wait_for_event(job, "child ended by #{status}")
        wait_until("what the child enqueued to run") { events.include?("enqueued by a child") }
        wait_until_finished(*GoodJob::Job.all.map(&:active_job))

        expect(sessions).to eq before
        expect(SpecRun.distinct.pluck(:pid)).to eq [@worker.pid]
        expect(events.tally).to eq("ran" => 1, "child ended by #{status}" => 1, "enqueued by a child" => 1)
        expect(GoodJob::Job.group(:executions_count, :error).count).to eq([1, nil] => 3)
        expect(GoodJob::Execution.group(:active_job_id).count.values).to eq [1, 1, 1]
        expect(@worker.stop.exitstatus).to eq 0
      end
    end
  end

  describe "of a process that runs jobs" do
    let(:proxy) { Proxy.new(URI(SpecDatabase.url).port) }

    after { proxy.remove }

    # How many bytes have been sent on each of the connections, and who has ended it.
    def traffic(connections)
      connections.map { |connection| [connection.bytes.fetch(:client), connection.ended] }
    end

    it "send no byte on its connections, though the child ends, enqueues, collects garbage, and runs jobs itself" do
      script = ruby(<<~RUBY, env: { "DATABASE_URL" => "#{proxy.url(SpecDatabase.url)}?pool=5" })
        class LimitedJob < RecordJob
          include GoodJob::ActiveJobExtensions::Concurrency

          good_job_control_concurrency_with(perform_limit: 1)
        end
        capsule = GoodJob::Capsule.new(configuration: GoodJob::Configuration.new({ max_threads: 2, poll_interval: -1 }))
        capsule.start
        LimitedJob.perform_later # has the process hold slots, in a session of their own
        wait_until { SpecRun.count == 1 }
        latch = Latch.new(#{latch.path.inspect})
        children = Array.new(3) do |number|
          fork do
            latch.wait
            GC.start
            exit!(0) if number == 0
            RecordJob.perform_later("enqueued by a child")
            exit if number == 1
            2.times do
              capsule.start(force: true)
              wait_until { GoodJob::Job.where(finished_at: nil).none? }
              capsule.shutdown
            end
            fork { GC.start }
            Process.wait
          end
        end
        puts "children: \#{children.join(" ")}"
        children.each { |pid| puts "child ended: \#{Process.wait2(pid).last.exitstatus}" }
        RecordJob.perform_later
        wait_until { SpecRun.where(pid: Process.pid).count == 2 }
        capsule.shutdown
      RUBY
      children = script.wait_for_output(/children: (.*)/)[1].split.map { |pid| Integer(pid) }
      before = sessions
      script.signal(:STOP)
      wait_until("the parent to stand still") { state_of(script.pid) == "T" }
      of_the_parent = proxy.connections
      seen = traffic(of_the_parent)
      expect(of_the_parent.size).to be >= 5 # the runtime's, the slots', and Active Record's
      latch.open
      wait_until("the children to end", limit_seconds: 30) { children.all? { |pid| state_of(pid) == "Z" } }
      wait_until("what the children enqueued to have run") { events.count("enqueued by a child") == 2 }

      expect(traffic(of_the_parent)).to eq seen
      expect(proxy.connections.size).to be >= of_the_parent.size + 5 # the children's
      script.signal(:CONT)
      expect(script.wait).to be_success
      expect(script.output.scan(/child ended: (\d*)/).flatten).to eq %w[0 0 0]
      expect(before.size).to eq 3
      expect(sessions).to be_empty
      expect(SpecRun.where(event: "enqueued by a child").distinct.pluck(:pid) - children).to be_empty
      expect(SpecRun.group(:job_id).count.values).to eq [1] * 4
    end

    it "by Process.daemon leave the daemon as new: it enqueues, and runs jobs when told to" do
      script = ruby(<<~RUBY)
        capsule = GoodJob::Capsule.new(configuration: GoodJob::Configuration.new({ max_threads: 2, poll_interval: -1 }))
        capsule.start
        wait_until { capsule.snapshot[:listening] }
        ours = "datname = current_database() AND application_name = 'GoodJob'"
        sessions = -> { ActiveRecord::Base.connection.select_values("SELECT pid FROM pg_stat_activity WHERE \#{ours}") }
        of_the_parent = sessions.call
        parent = Process.pid
        Process.daemon(true, true)
        puts "a daemon: \#{Process.pid != parent}, running: \#{capsule.running?}"
        wait_until("the parent's sessions to end") { (sessions.call & of_the_parent).empty? }
        puts "ended with the parent: \#{of_the_parent.size}"
        2.times { RecordJob.perform_later }
        capsule.start
        wait_until { SpecRun.count == 2 }
        puts "ran by the daemon: \#{SpecRun.distinct.pluck(:pid) == [Process.pid]}"
        capsule.shutdown
        puts "shut down"
      RUBY
      expect(script.wait).to be_success
      wait_until("the daemon to end") { script.output.include?("shut down") }
      expect(script.output).to include("a daemon: true, running: false", "ran by the daemon: true")
      expect(script.output).to match(/ended with the parent: [1-9]/)
      wait_until("the daemon's sessions to end, too") { sessions.empty? }
      expect(GoodJob::Job.group(:executions_count, :error).count).to eq([1, nil] => 2)
    end
  end

  describe "of a process that loads the application for others" do
    it "as Spring does it, run jobs in the commands and none in the server" do
      command = <<~RUBY
        ActiveRecord::Base.connection.disable_query_cache!
        job = RecordJob.perform_later
        wait_until { GoodJob::Job.find(job.job_id).finished? }
        own_row = -> { GoodJob::Process.all.any? { |process| process.state["pid"] == Process.pid } }
        wait_until { own_row.call }
      RUBY
      server = preloader("spring/application.rb", command, command, mode: "async_all")
      expect(server.wait).to be_success
      expect(server.output).to include("has 0 threads of GoodJob", "preloader running: false")
      expect(server.output.scan(/command ended: (\d*)/).flatten).to eq %w[0 0]
      expect(events).to eq %w[ran ran]
      expect(SpecRun.pluck(:pid)).not_to include server.pid
      expect([registered_pids, sessions]).to eq [[], []]
    end

    it "as Passenger spawns workers in its smart way, run jobs in the workers and none in the preloader" do
      server = preloader("rack-preloader.rb", "2", mode: "async")
      workers = server.wait_for_output(/^workers: (.*)/)[1].split.map { |pid| Integer(pid) }
      wait_until("both workers' rows, and only these") { registered_pids.sort == workers.sort }
      expect(server.threads.grep(/good_job/)).to be_empty
      wait_until("the jobs of the web requests to run") { events == %w[ran ran] }
      expect(SpecRun.distinct.pluck(:pid) - workers).to be_empty

      expect(server.stop).to be_success
      expect(server.output.scan(/worker ended: (\d*)/).flatten).to eq %w[0 0]
      expect(server.output).to include "preloader running: false"
      expect([registered_pids, sessions]).to eq [[], []]
    end
  end
end
