# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "The boundary between Ruby and Rust", :database, :integration do
  def options(**changes)
    GoodJob::Capsule::Launch.options(new_capsule(max_threads: 4).configuration).merge(changes)
  end

  def runtime
    @runtime ||= GoodJob::Native::Runtime.new(options).tap(&:start)
  end

  after { @runtime && Thread.new { @runtime.stop(5_000_000) }.join }

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  # @return [Array<Integer>] the server processes of the workers' runtimes
  def sessions
    Postgres.execute(SpecDatabase.url, <<~SQL).map { |row| Integer(row.fetch("pid")) }
      SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'GoodJob' ORDER BY pid
    SQL
  end

  describe "a wait" do
    # A thread that waits, has been seen waiting, and tells what ended it.
    def waiting(&wait)
      thread = Thread.new do
        Thread.current.report_on_exception = false
        wait.call
      end
      wait_until("the thread to wait") { thread.stop? }
      thread
    end

    # The shortest of some rounds, since other processes use the machine too.
    def fastest_s
      Array.new(5) do
        started_at = now
        yield
        now - started_at
      end.min
    end

    waits = { "for a job" => ->(runtime) { runtime.take(0) }, "for an event" => ->(runtime) { loop { runtime.next_event } },
              "for a question" => lambda(&:answer_pulse) }
    waits.each do |what, wait|
      it "#{what} is ended by Thread#kill in milliseconds" do
        ended = fastest_s { expect(waiting { wait.call(runtime) }.kill.join(10)).to be_truthy }
        expect(ended).to be < 0.1
      end

      it "#{what} is ended by Thread#raise in milliseconds" do
        ended = fastest_s do
          thread = waiting { wait.call(runtime) }
          thread.raise(IOError, "enough")
          expect { thread.value }.to raise_error(IOError, "enough")
        end
        expect(ended).to be < 0.1
      end

      it "#{what} is ended by Timeout" do
        ended = fastest_s { expect { Timeout.timeout(0.05) { wait.call(runtime) } }.to raise_error(Timeout::Error) }
        expect(ended).to be_between(0.05, 0.2)
      end
    end

    it "lets other threads run meanwhile" do
      waiters = Array.new(8) { waiting { runtime.take(0) } }
      count = 0
      Thread.new { 100_000.times { count += 1 } }.join(10)
      expect(count).to eq 100_000
      waiters.each(&:kill).each(&:join)
    end

    it "that is ended loses no job that had just arrived" do
      rounds = Array.new(100) do
        claim = nil
        # As a worker does: the interrupt may end the wait, but not come between its end and what is done with the claim.
        thread = waiting do
          Thread.handle_interrupt(IOError => :never) { claim = Thread.handle_interrupt(IOError => :on_blocking) { runtime.take(0) } }
        end
        job = QuickJob.perform_later
        thread.raise(IOError) if rand(2).zero?
        begin
          thread.join
        rescue IOError
          nil
        end
        runtime.finish(claim[:lease], { state: "succeeded", preserve: true }) if claim
        job
      end
      while unfinished_jobs.any?
        claim = Timeout.timeout(10) { runtime.take(0) }
        runtime.finish(claim[:lease], { state: "succeeded", preserve: true })
        wait_until("the outcome") { GoodJob::Job.find(claim[:id]).finished? }
      end
      expect(GoodJob::Job.succeeded.count).to eq rounds.size
    end
  end

  describe "an outcome, while the database is away" do
    let(:success) { { state: "succeeded", preserve: true } }

    # Not where the collector runs at every allocation as long as the call lasts.
    it "is kept, and where a thousand wait already the call waits as well, until there is room", unless: ENV.key?("GC_STRESS") do
      jobs = Array.new(1_600) { QuickJob.new }
      ActiveJob::Base.queue_adapter.enqueue_all(jobs)
      leases = jobs.map { Timeout.timeout(10) { runtime.take(0) }.fetch(:lease) }
      finished = 0
      finishing = SpecDatabase.closed do
        wait_until("the sessions to end") { GoodJob::Job.connection.select_value(<<~SQL).zero? }
          SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'GoodJob'
        SQL
        thread = Thread.new do
          leases.each do |lease|
            runtime.finish(lease, success)
            finished += 1
          end
        end
        wait_until("the thread to wait, or to end") { thread.stop? }
        # Up to 500 are in the flush under way.
        expect([thread.alive?, finished]).to match [true, be_between(1_000, 1_500)]
        expect(runtime.snapshot[:unsaved_outcomes]).to eq finished
        thread
      end
      expect(finishing.join(30)).to be finishing
      wait_until_finished(*jobs)
      expect(GoodJob::Execution.where(error: nil).group(:active_job_id).count.values.tally).to eq(1 => 1_600)
    end
  end

  describe "threads that are killed" do
    before do
      stub_const("CountJob", Class.new(ActiveJob::Base) do
        class << self
          attr_accessor :runs
        end

        def perform
          self.class.runs << job_id
          200.times { Thread.pass }
        end
      end)
      CountJob.runs = Thread::Queue.new
    end

    it "again and again, lose no job and count no run twice" do
      capsule = start_capsule(max_threads: 4)
      jobs = Array.new(500) { CountJob.new }
      ActiveJob::Base.queue_adapter.enqueue_all(jobs)
      wait_until("the first job") { CountJob.runs.size.positive? }
      until CountJob.runs.size > 450
        victim = capsule.workers.sample
        victim.kill
        Timeout.timeout(10) { victim.join }
      end
      wait_until_finished(*jobs)
      capsule.shutdown

      expect(GoodJob::Execution.where(error_event: "interrupted").count).to be_positive
      expect(GoodJob::Job.succeeded.count).to eq 500
      expect(GoodJob::Execution.where(error: nil).group(:active_job_id).count.values.tally).to eq(1 => 500)
      attempts = GoodJob::Execution.group(:active_job_id).count
      expect(GoodJob::Job.pluck(:id, :executions_count).to_h).to eq attempts
      expect(Array.new(CountJob.runs.size) { CountJob.runs.pop }.uniq.size).to eq 500
    end

    it "are replaced, each by one" do
      capsule = start_capsule(max_threads: 3)
      threads = -> { Thread.list.select { |thread| thread.name.to_s.match?(/\Agood_job \* \d/) && thread.alive? } }
      wait_until("three threads") { threads.call.size == 3 }
      before = threads.call
      before.each { |thread| 2.times { thread.raise(IOError) } }
      before.each { |thread| thread.join(5) rescue nil } # rubocop:disable Style/RescueModifier
      wait_until("three other threads") { threads.call.size == 3 && (threads.call & before).empty? }
      expect(capsule.workers.count(&:alive?)).to eq 3

      jobs = Array.new(3) { LatchedJob.perform_later(latch.path) }
      wait_until("all three to work") { SpecRun.count == 3 }
      latch.open
      wait_until_finished(*jobs)
    end
  end

  it "holds under GC.stress" do
    script = ruby(<<~RUBY)
      configuration = GoodJob::Configuration.new({ queues: "default;empty" })
      runtime = GoodJob::Native::Runtime.new(GoodJob::Capsule::Launch.options(configuration))
      ActiveJob::Base.queue_adapter.enqueue_all(Array.new(20) { QuickJob.new })
      failed = { state: "failed", preserve: true, error: "IOError: wet", error_event: "unhandled", error_backtrace: ["here", "there"] }
      events = []

      GC.stress = 1 # at every allocation, of young objects
      runtime.start
      events << runtime.next_event[:name]
      waiting = Array.new(4) { Thread.new { runtime.take(1) } }
      10.times { runtime.finish(runtime.take(0)[:lease], { state: "succeeded", preserve: true }) }
      waiting.each(&:kill).each(&:join)
      10.times { runtime.finish(runtime.take(0)[:lease], failed) }
      pools = [runtime.pools, runtime.snapshot[:pools]].map { |list| list.map { |pool| pool[:name] } }
      Thread.new { runtime.stop(nil) }.join
      GC.stress = false

      puts "events: \#{events}, pools: \#{pools}"
    RUBY
    expect(script.wait(90)).to be_success
    expect(script.output).to include 'events: ["ready"], pools: [["default", "empty"], ["default", "empty"]]'
    expect(GoodJob::Job.group(:error).count).to eq(nil => 10, "IOError: wet" => 10)
    expect(GoodJob::Execution.where(error: "IOError: wet").pluck(:error_backtrace).uniq).to eq [%w[here there]]
  end

  # GC.compact is part of a Ruby whose platform lets it move objects.
  it "holds while the collector moves whatever it can", if: GC.respond_to?(:compact) do
    script = ruby(<<~RUBY)
      jobs = Array.new(120) { QuickJob.new }
      ActiveJob::Base.queue_adapter.enqueue_all(jobs)
      runtime = GoodJob::Native::Runtime.new(GoodJob::Capsule::Launch.options(GoodJob::Configuration.new({ max_threads: 4 })))
      outcomes = [{ state: "succeeded", preserve: true }, { state: "interrupted", preserve: true }, { state: "unstarted", preserve: true },
                  { state: "failed", preserve: true, error: "IOError: wet", error_event: "unhandled", error_backtrace: ["here", "there"] }]
      torn = Thread::Queue.new

      GC.auto_compact = true
      moving = true
      mover = Thread.new { GC.verify_compaction_references(toward: :empty) && Thread.pass while moving }
      runtime.start
      listener = Thread.new { loop { runtime.next_event } }
      workers = Array.new(4) do |number|
        Thread.new do
          while (claim = runtime.take(0))
            said = [JSON.parse(claim[:serialized_params]).fetch("job_id"), runtime.describe(claim[:lease])[:job_class]]
            torn << claim unless said == [claim[:id], "QuickJob"]
            runtime.finish(claim[:lease], outcomes[claim[:interrupted_at] ? 0 : number])
          end
        end
      end
      wait_until("the jobs", limit_seconds: 60) { GoodJob::Job.where(finished_at: nil).none? }
      runtime.drain
      workers.each(&:join)
      Thread.new { runtime.stop(nil) }.join
      moving = false
      mover.join

      puts "\#{GC.stat(:compact_count)} moves, torn: \#{Array.new(torn.size) { torn.pop }}"
    RUBY
    expect(script.wait(90)).to be_success
    expect(script.output).to match(/^\d{2,} moves, torn: \[\]$/)
    expect(GoodJob::Job.where.not(finished_at: nil).count).to eq 120
  end

  describe "the end of a process" do
    preamble = <<~RUBY
      runtime = GoodJob::Native::Runtime.new(GoodJob::Capsule::Launch.options(GoodJob::Configuration.new({})))
      runtime.start
      threads = Array.new(4) { Thread.new { runtime.take(0) } } << Thread.new { loop { runtime.next_event } } << Thread.new { runtime.answer_pulse }
      wait_until { threads.all?(&:stop?) && runtime.snapshot[:connected] }
      puts "waiting"
    RUBY

    { "exit" => ["exit 3", 3], "exit!" => ["exit! 3", 3], "abort" => ["abort", 1], "an error" => ["raise IOError", 1], "its last line" => ["nil", 0],
      "exit in another thread" => ["Thread.new { exit 3 }.join", 3] }.each do |what, (last_line, status)|
      it "by #{what} is not held up by threads that wait in the library" do
        script = ruby("#{preamble}\n#{last_line}")
        expect(script.wait(15).exitstatus).to eq status
        expect(script.output).to include "waiting"
        wait_until("the sessions to end") { sessions.empty? }
      end
    end

    it "by a signal is not held up either" do
      script = ruby("#{preamble}\nThread.stop")
      script.wait_for_output(/waiting/)
      expect(script.stop.termsig).to eq Signal.list.fetch("TERM")
    end

    it "lets a capsule's running job finish" do
      script = ruby(<<~RUBY)
        capsule = GoodJob::Capsule.new(configuration: GoodJob::Configuration.new({}))
        capsule.start
        job = LatchedJob.perform_later(#{latch.path.inspect})
        wait_until { SpecRun.any? }
        puts "exiting"
        exit
      RUBY
      script.wait_for_output(/exiting/)
      latch.open
      expect(script.wait).to be_success
      expect(events).to eq %w[started finished]
      expect(GoodJob::Job.succeeded.count).to eq 1
      expect(registered_pids).to be_empty
    end
  end

  describe "a fork" do
    # Not where a child's collector moves objects: that may end Active Record's own connections of the parent, without this library too.
    it "while four threads take jobs disturbs neither side: every job runs once, and every child ends", unless: ENV.key?("GC_STRESS") do
      script = ruby(<<~RUBY)
        ActiveJob::Base.queue_adapter.enqueue_all(Array.new(300) { RecordJob.new })
        capsule = GoodJob::Capsule.new(configuration: GoodJob::Configuration.new({ max_threads: 4 }))
        capsule.start
        statuses = Array.new(20) do |number|
          child = fork do
            RecordJob.perform_later
            GC.start
            number.even? ? exit : exit!(0)
          end
          Process.wait2(child).last.exitstatus
        end
        wait_until("the jobs", limit_seconds: 60) { GoodJob::Job.where(finished_at: nil).none? }
        capsule.shutdown
        puts "statuses: \#{statuses.tally}"
        puts "errors: \#{GoodJob::Job.where.not(error: nil).pluck(:error).tally}"
      RUBY
      expect(script.wait(90)).to be_success
      expect(script.output).to match(/statuses: \{0 ?=> ?20\}/)
      expect(script.output).to include "errors: {}"
      expect(SpecRun.group(:job_id).count.values.tally).to eq(1 => 320)
      expect(SpecRun.distinct.pluck(:pid)).to eq [script.pid]
      expect(GoodJob::Job.where.not(executions_count: 1)).to be_empty
    end

    it "while another thread connects leaves that connection to the parent" do
      script = ruby(<<~RUBY)
        capsule = GoodJob::Capsule.new(configuration: GoodJob::Configuration.new({}))
        capsule.start
        connected, forked = Queue.new, Queue.new
        thread = Thread.new do
          connection = PG.connect(**GoodJob::Database.new.connection)
          connected << true
          forked.pop
          connection.exec("SELECT 'it answers'").getvalue(0, 0)
        end
        connected.pop
        Process.wait(fork { GC.start })
        forked << true
        puts thread.value
        capsule.shutdown
      RUBY
      expect(script.wait).to be_success
      expect(script.output).to include "it answers"
    end

    it "leaves the child a runtime that says whose it is" do
      script = ruby(<<~RUBY)
        runtime = GoodJob::Native::Runtime.new(GoodJob::Capsule::Launch.options(GoodJob::Configuration.new({})))
        runtime.start
        wait_until { runtime.snapshot[:connected] }
        calls = { start: [], process_id: [], pools: [], take: [0], started: [1], finish: [1, { state: "succeeded", preserve: true }], drain: [],
                  stop: [nil], snapshot: [], next_event: [] }
        child = fork do
          calls.each do |name, arguments|
            runtime.public_send(name, *arguments)
            puts "\#{name} worked"
          rescue GoodJob::ForkedError => e
            puts "\#{name} refused: \#{e.message}"
          end
        end
        Process.wait(child)
        puts "child: \#{$?.exitstatus}, parent: \#{runtime.snapshot[:state]}"
        Thread.new { runtime.stop(nil) }.join
      RUBY
      expect(script.wait).to be_success
      expect(script.output).to include "child: 0, parent: running"
      expect(script.output).not_to include "worked"
      expect(script.output.scan("refused").size).to eq 10
      expect(script.output).to match(/take refused: .*fork/)
    end

    it "has a child whose sockets are not the parent's: these end with the parent though the child lives" do
      script = ruby(<<~RUBY)
        runtime = GoodJob::Native::Runtime.new(GoodJob::Capsule::Launch.options(GoodJob::Configuration.new({})))
        runtime.start
        wait_until { runtime.snapshot[:connected] }
        fork { Latch.new(#{latch.path.inspect}).wait }
        puts "forked"
        Thread.stop
      RUBY
      script.wait_for_output(/forked/)
      expect(sessions).not_to be_empty
      script.signal(:KILL)
      script.wait
      wait_until("the parent's sessions to end") { sessions.empty? }
    end
  end

  # A program may be started without a fork that a handler would see (Ruby does so for whoever is not root): the kernel closes what is
  # marked so.
  it "leaves no socket to a program that is started" do
    script = ruby(<<~RUBY)
      runtime = GoodJob::Native::Runtime.new(GoodJob::Capsule::Launch.options(GoodJob::Configuration.new({})))
      runtime.start
      wait_until { runtime.snapshot[:connected] }
      sockets = lambda do |pid|
        Dir["/proc/\#{pid}/fd/*"].filter_map { |file| Integer(File.basename(file)) if File.symlink?(file) && File.stat(file).socket? }
      end
      own = sockets.call(Process.pid)
      puts "own sockets: \#{own.size}"
      puts "marked: \#{own.count { |number| IO.for_fd(number, "r+", autoclose: false).close_on_exec? }}"
      IO.popen("cat", "r+") do |program|
        program.puts "executed"
        program.gets
        puts "the program's sockets: \#{sockets.call(program.pid).size}"
        puts "in their places: \#{Dir.children("/proc/\#{program.pid}/fd").count { |number| own.include?(number.to_i) }}"
      end
      Thread.new { runtime.stop(nil) }.join
    RUBY
    expect(script.wait).to be_success
    expect(script.output).to match(/^own sockets: ([1-9]\d*)\nmarked: \1$/)
    expect(script.output).to include("the program's sockets: 0", "in their places: 0")
  end

  describe "wrong input" do
    # Shows all that are not refused as they should be, not the first alone.
    def expect_refusals(cases, &call)
      answers = cases.to_h { |wrong, _message| [wrong, answer_to(wrong, &call)] }
      expect(answers.reject { |wrong, answer| answer.is_a?(ArgumentError) && answer.message.match?(cases[wrong]) }).to eq({})
    end

    def answer_to(wrong)
      yield wrong
    rescue StandardError => e
      e
    end

    it "to Runtime.new is refused by an ArgumentError that names the key" do
      sound = options
      expect_refusals({
                        { cheese: 1 } => /cheese/, { max_threads: 0 } => /max_threads/, { max_threads: "5" } => /max_threads/, { max_threads: nil } => /max_threads/,
                        { queues: "mice:x;rats" } => /queues .*mice:x/, { queues: nil } => /queues/, { poll_interval_us: -1 } => /poll_interval_us/,
                        { poll_interval_us: "1" } => /poll_interval_us/, { listen: "yes" } => /listen/, { lock_strategy: "cheese" } => /lock_strategy "cheese"/,
                        { connection: { cheese: "1" } } => /cheese/, { connection: { port: 1 } } => /connection/, { session: {} } => /timezone/,
                        { tables: { jobs: "good_jobs" } } => /executions/, { process_state: "{" } => /process_state/, { queues: Object.new } => /Object/
                      }) { |wrong| GoodJob::Native::Runtime.new(sound.merge(wrong)) }

      expect { GoodJob::Native::Runtime.new(sound.except(:session)) }.to raise_error(ArgumentError, /session/)
      expect { GoodJob::Native::Runtime.new(sound.transform_keys(&:to_s)) }.to raise_error(ArgumentError, /symbol/i)
    end

    it "to the functions is refused by an ArgumentError that quotes it" do
      expect_refusals({ "cheese" => /no statement named "cheese"/, "../core" => %r{\.\./core} }) { |name| GoodJob::Native.statement(name) }
      expect_refusals({
                        "a;;b" => /"a;;b"/, ":2" => /":2"/, "a:0" => /"a:0"/, "a:b" => /"a:b"/, "a:1.5" => /"1\.5"/, "a:-1" => /"-1"/
                      }) { |queues| GoodJob::Native.parse_queues(queues) }
    end

    it "in an outcome is refused by an ArgumentError that names it" do
      expect_refusals({
                        {} => /state/, { state: "cheese", preserve: true } => /cheese/, { state: "succeeded" } => /preserve/,
                        { state: "succeeded", preserve: true, cheese: 1 } => /cheese/, { state: "failed", preserve: true } => /error/,
                        { state: "failed", preserve: true, error: "x", error_event: "eaten" } => /eaten/, { state: "succeeded", preserve: 3 } => /preserve/,
                        { state: "retried", preserve: true, retry: { cheese: 1 } } => /cheese/
                      }) { |outcome| GoodJob::Native.transition(outcome) }
    end

    it "to a runtime is refused by an ArgumentError, and does no harm" do
      success = { state: "succeeded", preserve: true }
      expect_refusals({
                        [:finish, 99, success] => /lease 99/, [:started, 99] => /lease 99/, [:take, 99] => /99/, [:stop, -1] => /timeout_us/
                      }) { |call| runtime.public_send(*call) }

      job = QuickJob.perform_later
      claim = Timeout.timeout(10) { runtime.take(0) }
      expect { runtime.finish(claim[:lease], { state: "cheese", preserve: true }) }.to raise_error(ArgumentError, /cheese/)
      runtime.finish(claim[:lease], success)
      expect { runtime.finish(claim[:lease], success) }.to raise_error(ArgumentError, /lease/)
      wait_until("the job to be finished") { row(job).succeeded? }
    end
  end

  describe "a shutdown" do
    it "leaves no connection, no descriptor and no thread of Rust's behind" do
      descriptors = -> { Dir.children("/proc/self/fd").size }
      rust_threads = -> { Dir["/proc/self/task/*/comm"].count { |file| File.read(file).chomp == "good_job" } }
      start_capsule.shutdown
      before = descriptors.call
      3.times do
        capsule = start_capsule
        job = QuickJob.perform_later
        wait_until_finished(job)
        expect(sessions.size).to be_between(1, 3)
        expect(rust_threads.call).to be >= 1
        capsule.shutdown
      end
      expect(rust_threads.call).to eq 0
      expect(descriptors.call).to be <= before
      wait_until("the sessions to end") { sessions.empty? }
    end

    it "of a runtime that never was connected takes no time" do
      nowhere = GoodJob::Native::Runtime.new(options(connection: { host: "127.0.0.1", port: "1", dbname: "cheese", user: "mouse" }))
      nowhere.start
      expect(Thread.new { nowhere.stop(10_000_000) }.join(5)&.value).to be true
      expect(nowhere.take(0)).to be_nil
      expect { nowhere.start }.to raise_error(GoodJob::StoppedError)
    end
  end
end
