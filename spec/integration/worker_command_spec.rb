# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "The command good_job start", :database, :integration do
  def untouched
    have_attributes(performed_at: nil, finished_at: nil, locked_by_id: nil, locked_at: nil, error: nil)
  end

  # As a run leaves it that was cut short.
  def interrupted
    have_attributes(performed_at: be_present, finished_at: nil, locked_by_id: nil, error: /\AGoodJob::InterruptedError: /, error_event: "interrupted")
  end

  it "is what good_job does without being told; it logs to its standard output, though the application does elsewhere" do
    worker = good_job_command(configuration: "config.logger = ActiveSupport::Logger.new(nil)")
    wait_until_registered(worker)
    job = RecordJob.perform_later
    wait_until_finished(job)
    expect(worker.stop.exitstatus).to eq 0
    expect(worker.output.scan(/\[GoodJob\].* (?:started scheduler with queues=\*|Executed GoodJob #{job.job_id})/).size).to eq 2
  end

  describe "told to stop" do
    %i[TERM INT].each do |signal|
      it "by #{signal}, lets the running job finish, claims no other, takes leave and exits with 0" do
        worker = running_worker("--max-threads=1")
        running = LatchedJob.perform_later(latch.path)
        wait_for_event(running, "started")
        waiting = Array.new(3) { RecordJob.perform_later }
        worker.signal(signal)
        worker.wait_for_output(/GoodJob is shutting down/)
        late = RecordJob.perform_later
        latch.open

        expect(worker.wait.exitstatus).to eq 0
        expect(events(running)).to eq %w[started finished]
        expect(row(running)).to be_succeeded
        expect([*waiting, late].map { |job| row(job) }).to all(untouched)
        expect(registered_pids).to be_empty
      end
    end

    it "by a job that shuts the capsule down, lets it finish and exits with 0" do
      worker = running_worker
      job = ShutdownJob.perform_later
      expect(worker.wait(20).exitstatus).to eq 0
      expect(row(job)).to be_succeeded
      expect(registered_pids).to be_empty
    end

    it "gives back what it had claimed ahead of its threads" do
      worker = running_worker("--max-threads=1")
      quick = Array.new(300) { QuickJob.new }
      ActiveJob::Base.queue_adapter.enqueue_all(quick)
      wait_until_finished(*quick) # from now on it takes jobs for short ones, and claims several at once
      jobs = [LatchedJob.new(latch.path).tap { |job| job.priority = -1 }] + Array.new(100) { QuickJob.new }
      ActiveJob::Base.queue_adapter.enqueue_all(jobs)
      wait_until("claims that wait for the thread") { GoodJob::Job.where(performed_at: nil).where.not(locked_by_id: nil).any? }
      worker.signal(:TERM)
      worker.wait_for_output(/GoodJob is shutting down/)
      latch.open

      expect(worker.wait.exitstatus).to eq 0
      finished, left = jobs.map { |job| row(job) }.partition(&:finished?)
      expect(finished.map(&:id)).to include jobs.first.job_id
      expect(left).not_to be_empty
      expect(left).to all(untouched.and(have_attributes(executions_count: 0)))
      expect(GoodJob::Execution.where(active_job_id: jobs.map(&:job_id)).count).to eq finished.size
    end

    it "a second time, ends at once" do
      worker = running_worker
      running = LatchedJob.perform_later(latch.path)
      wait_for_event(running, "started")
      worker.signal(:TERM)
      worker.wait_for_output(/GoodJob is shutting down/)
      worker.signal(:TERM)
      expect(worker.wait(5).exitstatus).to eq 1
      expect(events(running)).to eq ["started"]
    end

    it "with a shutdown_timeout of 0, interrupts what runs; the next worker runs it again" do
      worker = running_worker("--shutdown-timeout=0")
      jobs = Array.new(2) { LatchedJob.perform_later(latch.path) }
      wait_until("both to run") { SpecRun.count == 2 }
      worker.signal(:TERM)
      expect(worker.wait(10).exitstatus).to eq 0
      expect(worker.output).to include(*jobs.map(&:job_id))
      expect(jobs.map { |job| row(job) }).to all(interrupted)

      latch.open
      running_worker
      wait_until_finished(*jobs)
      jobs.each do |job|
        expect(events(job)).to eq %w[started started finished]
        expect(executions(job).map(&:error_event)).to eq ["interrupted", nil]
        expect(row(job)).to have_attributes(executions_count: 2, error: nil, finished_at: be_present)
      end
    end

    it "with a shutdown_timeout of some seconds, waits so long and interrupts what still runs" do
      worker = running_worker("--shutdown-timeout=1.5", "--max-threads=2")
      other_latch = Latch.create
      timely, late = [other_latch, latch].map { |it| LatchedJob.perform_later(it.path) }
      wait_until("both to run") { SpecRun.count == 2 }
      stopped_at = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      worker.signal(:TERM)
      worker.wait_for_output(/Waiting up to 1.5 seconds/)
      other_latch.open
      expect(worker.wait.exitstatus).to eq 0

      expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - stopped_at).to be_between(1.5, 10)
      expect(row(timely)).to be_succeeded
      expect(row(late)).to interrupted
    ensure
      other_latch&.remove
    end
  end

  describe "told otherwise" do
    it "by TSTP, claims no more, lets the running job finish, and stays" do
      worker = running_worker("--max-threads=2")
      running = LatchedJob.perform_later(latch.path)
      wait_for_event(running, "started")
      worker.signal(:TSTP)
      worker.signal(:TTIN) # handled after it, with an answer
      worker.wait_for_output(/latch\.rb:\d+:in/)
      late = RecordJob.perform_later
      latch.open
      wait_until_finished(running)

      expect(worker).to be_alive
      expect(registered_pids).to eq [worker.pid]
      expect(worker.stop.exitstatus).to eq 0
      expect(row(late)).to untouched
    end

    it "by TTIN, prints the backtrace of every thread, and goes on" do
      worker = running_worker("--max-threads=1")
      running = LatchedJob.perform_later(latch.path)
      wait_for_event(running, "started")
      worker.signal(:TTIN)
      worker.wait_for_output(/good_job \* 1.*latch\.rb:\d+:in/m)
      worker.wait_for_output(/command_process\.rb:\d+:in/)
      latch.open
      wait_until_finished(running)
    end
  end

  describe "killed" do
    it "has its jobs rescued by another worker within seconds, with a record of the run that died" do
      victim = running_worker("--max-threads=2")
      victim_id = GoodJob::Process.first.id
      jobs = Array.new(2) { LatchedJob.perform_later(latch.path) }
      wait_until("both to run") { SpecRun.count == 2 }
      rescuer = running_worker("--max-threads=2")
      victim.kill
      killed_at = Time.now
      jobs.each { |job| wait_for_event(job, "started", "started") }
      expect(SpecRun.order(:id).last.at - killed_at).to be < 10
      latch.open
      wait_until_finished(*jobs)

      jobs.each do |job|
        died, lived = executions(job)
        expect(died).to have_attributes(error: /\AGoodJob::InterruptedError: Interrupted after starting perform at '/, error_event: "interrupted",
                                        process_id: victim_id, finished_at: be_present)
        expect(lived).to have_attributes(error: nil, error_event: nil)
        expect(row(job)).to have_attributes(executions_count: 2, error: nil)
      end
      expect(SpecRun.where(event: "finished").pluck(:pid).uniq).to eq [rescuer.pid]
      expect(registered_pids).to eq [rescuer.pid]
    end
  end

  describe "its flags" do
    it "say which queues it takes from and with how many threads" do
      left = RecordJob.set(queue: "cats").perform_later
      worker = running_worker("--queues=mice:1;rats", "--max-threads=3", "--poll-interval=-1")
      expect(worker.output).to include("queues=mice max_threads=1", "queues=rats max_threads=3")
      expect(GoodJob::Process.first.schedulers.map { |pool| pool.values_at("queues", "max_threads") }).to eq [["mice", 1], ["rats", 3]]
      taken = %w[mice rats].map { |queue| RecordJob.set(queue: queue).perform_later }
      wait_until_finished(*taken)
      expect(row(left)).to untouched
    end

    it "win over the environment, and the application's configuration too" do
      running_worker("--max-threads=2", env: { "GOOD_JOB_MAX_THREADS" => "3", "GOOD_JOB_QUEUES" => "mice" }, configuration: <<~RUBY)
        config.good_job.max_threads = 4
        config.good_job.queues = "rats"
      RUBY
      expect(GoodJob::Process.first.schedulers.map { |pool| pool.values_at("queues", "max_threads") }).to eq [["rats", 2]]
    end

    {
      "an unknown flag" => [["--cheese=1"], {}, "", /cheese/],
      "a number that is none" => [["--max-threads=many"], {}, "", /max_threads is "many", but must be a whole number/],
      "a queue string with a bad number" => [["--queues=mice:x;rats"], {}, "", /"mice:x/],
      "an unknown mode" => [[], { "GOOD_JOB_EXECUTION_MODE" => "sideways" }, "", /GOOD_JOB_EXECUTION_MODE is "sideways", but must be one of :async/],
      "an unknown setting" => [[], {}, "config.good_job.max_cheese = 5", /unknown config\.good_job key :max_cheese/]
    }.each do |what, (flags, env, configuration, message)|
      it "end it with 1 and quote the bad part: #{what}" do
        worker = good_job(*flags, env: env, configuration: configuration)
        expect(worker.wait.exitstatus).to eq 1
        expect(worker.output).to match(message)
        expect(worker.output).not_to match(/^\s+from /)
      end
    end

    it "are of no use outside of a Rails application, which it says" do
      worker = ObservedProcess.new(SpecApp::DIRECTORY.join("bin/good_job").to_s, environment: {}, directory: File.dirname(latch.path))
      launched << worker
      expect(worker.wait.exitstatus).to eq 1
      expect(worker.output).to match(%r{no config/environment\.rb.*directory of a Rails application})
    end
  end
end
