# frozen_string_literal: true

require_relative "../support/network"
require_relative "../support/outages"
require_relative "../support/small_disk"

RSpec.describe "An outage of the database", :database, :integration, :outage do
  describe "while jobs run and outcomes are being stored" do
    # One job is held from before the outage until after its begin; of many short ones, some are done before, some have just ended, some
    # have been claimed, some wait.
    def interfere
      capsule = start_capsule(max_threads: 4)
      jobs = [enqueue_held, *enqueue(600)]
      wait_until("some to have run") { ShortJob.runs.size > 60 }
      yield
      latch.open
      jobs.concat(expect_work_to_go_on(jobs.first))
      wait_until_stored(jobs)
      capsule.shutdown
      expect_each_once(jobs)
      expect(latch.notes).to eq %w[started finished]
      causes = log(/cannot run jobs/).map { |line| line[/cannot run jobs.*/] } # there is no server, it starts, it recovers, …
      expect(causes).to eq causes.uniq
      expect(log(/connected to Postgres again/).size).to be <= 3 * disconnections
      expect(errors.map(&:message)).to eq []
    end

    def disconnections
      @disconnections ||= 1
    end

    it "by a fast restart loses no job and runs none twice" do
      interfere do
        Cluster.shared.stop
        Cluster.shared.start
      end
    end

    it "by an immediate restart loses no job and runs none twice" do
      interfere do
        Cluster.shared.stop(:QUIT)
        Cluster.shared.start
      end
    end

    it "by the death of a server process, which ends all sessions, loses no job and runs none twice" do
      interfere do
        # The one whose process died may connect before the server has noticed, and lose that session with the others.
        @disconnections = 2
        before = sessions
        Process.kill(:KILL, before.sample)
        wait_until("the server to have recovered") do
          Cluster.shared.ready? && (sessions & before).empty?
        rescue PG::ConnectionBad
          false
        end
      end
    end

    it "by the end of one session after the other, and of all at once, loses no job and runs none twice" do
      interfere do
        @disconnections = 12
        9.times do |round|
          before = wait_until("three sessions") { sessions.then { |pids| pids if pids.size == 3 } }
          ended = round % 3 == 2 ? before : [before[round % 3]]
          server("SELECT pg_terminate_backend(pid) FROM unnest(ARRAY#{ended}) AS pid")
          wait_until("their end") { (sessions & ended).empty? }
        end
      end
    end
  end

  it "by a restart makes nobody dead who may be about to reconnect, not even for a process that starts in these seconds" do
    Cluster.shared.stop
    Cluster.shared.start
    rows(<<~SQL)
      WITH other AS (
        INSERT INTO good_job_processes (created_at, updated_at, state, lock_type)
        SELECT at, at - interval '30 seconds', '{"runtime": "good_job_rs"}', 0 FROM timezone('UTC', now()) AS at RETURNING id, created_at AS at
      )
      INSERT INTO good_jobs (created_at, updated_at, scheduled_at, locked_by_id, locked_at, lock_type)
      SELECT at, at, at, id, at - interval '40 seconds', 1 FROM other
    SQL
    capsule = start_capsule
    own_beat = -> { rows("SELECT updated_at FROM good_job_processes WHERE id = '#{capsule.process_id}'").first }
    first = wait_until("the first beat", &own_beat)
    wait_until("another, and with it a look for dead processes") { own_beat.call != first }
    expect(rows("SELECT FROM good_jobs WHERE locked_by_id IS NOT NULL").size).to eq 1
  end

  describe "that takes the answer of a statement with it" do
    # With every statement prepared that will be needed: the preparation would wait for an answer, too.
    def practised_capsule
      capsule = capsule_by(proxy.url(url), max_threads: 2)
      wait_until_stored(enqueue(20))
      yield if block_given?
      capsule
    end

    # What the database has done by then, the capsule does not know; it learns that its connections are lost.
    def lose_answers(connections = proxy.connections)
      connections.each { |connection| connection.silence(:server) }
      yield
      proxy.cut
    end

    def expect_no_false_alarm(capsule)
      capsule.shutdown
      expect([errors, log(/put back|second time/)]).to eq [[], []]
      expect(ShortJob.runs.tally.values.uniq).to eq [1]
    end

    it "is found to have stored how a run ended, and stores it once" do
      capsule = practised_capsule
      job = enqueue_held
      lose_answers do
        latch.open
        wait_until("the outcome to be stored") { unfinished([job]).empty? }
      end
      expect_work_to_go_on
      expect_no_false_alarm(capsule)
      expect_each_once(GoodJob::Job.all.to_a)
    end

    it "is found to have deleted a job that is not kept" do
      GoodJob.preserve_job_records = false
      capsule = practised_capsule
      enqueue_held
      lose_answers do
        latch.open
        wait_until("the job to be deleted") { rows("SELECT FROM good_jobs").empty? }
      end
      expect_work_to_go_on
      expect_no_false_alarm(capsule)
      expect(rows("SELECT FROM good_job_executions")).to be_empty
    end

    it "is found to have stored a retry, which runs once" do
      stub_const("TwiceJob", Class.new(ActiveJob::Base) do
        retry_on IOError, wait: 0, attempts: 2
        def perform(latch)
          Latch.new(latch).note("attempt #{executions}")
          return if executions > 1

          Latch.new(latch).wait
          raise IOError
        end
      end)
      other_latch = Latch.create.tap(&:open)
      capsule = practised_capsule { wait_until_stored([TwiceJob.perform_later(other_latch.path)]) }
      job = TwiceJob.perform_later(latch.path)
      wait_until("the first attempt") { latch.notes.any? }
      lose_answers do
        latch.open
        wait_until("the retry to be stored") { rows("SELECT FROM good_job_executions WHERE active_job_id = '#{job.job_id}'").any? }
      end
      expect_work_to_go_on(job)
      expect_no_false_alarm(capsule)
      expect(latch.notes).to eq ["attempt 1", "attempt 2"]
      expect(rows("SELECT error FROM good_job_executions WHERE active_job_id = '#{job.job_id}' ORDER BY created_at").map { |row| row["error"] })
        .to eq ["IOError: IOError", nil]
    ensure
      other_latch&.remove
    end

    it "gives claims back that it never heard of" do
      capsule = practised_capsule
      jobs = nil
      lose_answers([proxy.connections.first]) do # which claims; the others hear what is announced
        jobs = enqueue(3)
        wait_until("the claim") { rows("SELECT FROM good_jobs WHERE locked_by_id IS NOT NULL").any? }
      end
      expect_work_to_go_on(*jobs)
      capsule.shutdown
      expect_each_once(GoodJob::Job.all.to_a)
      expect(errors).to eq []
    end
  end

  describe "that lasts longer than the process" do
    def silent_capsule
      capsule = capsule_by(proxy.url(url), max_threads: 1)
      wait_until_stored(enqueue(1))
      yield if block_given?
      proxy.silence(:client, :server)
      capsule
    end

    def expect_end_of(capsule, timeout:)
      began = now
      ending = Thread.new { capsule.shutdown(timeout: timeout) }
      expect(ending.join(20)).to be ending
      now - began
    end

    it "holds up nobody who has nothing to store: each goodbye is given a second" do
      expect(expect_end_of(silent_capsule, timeout: 30)).to be < 10
      expect(log(/could not save/)).to eq []
    end

    it "takes outcomes with it, which is said; the jobs stay claimed, and will be put back" do
      stub_const("GoodJob::Capsule::KILL_GRACE_S", 1)
      job = nil
      capsule = silent_capsule { job = enqueue_held }
      latch.open
      wait_until("the job to end") { latch.notes.include?("finished") }
      expect_end_of(capsule, timeout: 0)
      expect(log(/could not save how 1 jobs ended; they will run again/).size).to eq 1
      expect(rows("SELECT FROM good_jobs WHERE id = '#{job.job_id}' AND locked_by_id IS NOT NULL AND finished_at IS NULL").size).to eq 1
    end
  end

  # All at once, since each has to wait until the runtime gives up: 15 s.
  it "by connections that go silent, in both directions or in one, or for ever, is over for the runtime as soon as the network is back" do
    ways = { "both" => %i[client server], "sent" => %i[client], "heard" => %i[server], "forgotten" => %i[client server] }
    proxies = ways.transform_values { Proxy.new(Cluster.shared.port) }
    capsules = proxies.to_h { |queue, way| [queue, capsule_by("#{way.url(url)}?connect_timeout=2", queues: queue, max_threads: 1)] }
    before = ways.keys.flat_map { |queue| enqueue(1, queue_name: queue) }
    wait_until_stored(before) # on connections that there are from then on
    jobs = ways.keys.to_h { |queue| [queue, OfflineJob.set(queue: queue).perform_later(latch.path)] }
    wait_until("all to run") { latch.notes.size == 4 }
    began = now
    ways.each { |queue, senders| proxies[queue].silence(*senders) }
    proxies["forgotten"].forget
    latch.open
    wait_until("the forgotten one to have connected anew", limit_seconds: 25) { unfinished([jobs["forgotten"]]).empty? }
    expect(now - began).to be_between(14, 20)
    wait_until("the others to find nobody", limit_seconds: 25) { log(/cannot run jobs: .*greeting/).size >= 3 }
    proxies.each_value(&:resume)

    probes = expect_work_to_go_on(*jobs.values, queues: ways.keys)
    capsules.each_value(&:shutdown)
    expect_each_once([*before, *jobs.values, *probes])
    expect(errors).to eq []
    expect(log(/cannot run jobs/).size).to be <= 6
  ensure
    proxies&.each_value(&:remove)
  end

  describe "by a cut network", skip: Network.obstacle do
    let(:network) { Network.new }
    let(:cluster) { Cluster.apart(within: network.server.entrance, network: true) }
    let(:islands) { Hash.new { |all, name| all[name] = network.island } }
    let(:other_latch) { Latch.create }

    after do
      other_latch.remove
      network.remove
    end

    # A worker there, for the queue of the same name.
    def worker_on(name)
      way = "postgres://postgres@#{islands[name].server_address}:#{cluster.port}#{URI(url).path}?connect_timeout=2"
      good_job("--queues=#{name}", "--max-threads=2", env: { "DATABASE_URL" => way }, within: islands[name].entrance)
    end

    def enqueue_on(names, latch)
      names.map { |name| OfflineJob.set(queue: name).perform_later(latch.path) }
    end

    # Both ways at once, since each has to wait until the runtime gives up: 5 to 8 s, and an attempt to connect.
    it "that loses what is sent, or is unplugged, is over for the workers as soon as it is back, and nothing has run twice" do
      ways = { "lost" => :lose_packets, "unplugged" => :unplug }
      start_capsule(queues: "none") # puts back what it takes for abandoned
      workers = ways.keys.map { |name| worker_on(name) }
      jobs = enqueue_on(ways.keys, latch)
      lasting = enqueue_on(ways.keys, other_latch)
      wait_until("all to run", limit_seconds: 30) { latch.notes.size == 2 && other_latch.notes.size == 2 }

      cut_at = now
      ways.each { |name, way| islands[name].public_send(way) }
      latch.open
      waiting = enqueue(4, job_class: QuickJob, queue_name: "lost") + enqueue(4, job_class: QuickJob, queue_name: "unplugged")
      workers.each { |worker| worker.wait_for_output(/cannot run jobs/) }
      expect(now - cut_at).to be < 13
      expect(unfinished([*jobs, *lasting, *waiting]).size).to eq 12
      islands.each_value(&:mend)

      probes = expect_work_to_go_on(*jobs, queues: ways.keys, job_class: QuickJob)
      other_latch.open
      wait_until_stored([*lasting, *waiting])
      expect(workers.map { |worker| worker.stop.exitstatus }).to eq [0, 0]
      expect_each_once([*jobs, *lasting, *waiting, *probes])
      expect([latch, other_latch].flat_map(&:notes).tally).to eq("started" => 4, "finished" => 4)
      workers.each do |worker|
        causes = worker.output.scan(/cannot run jobs.*/)
        expect(causes).to eq causes.uniq
        expect(worker.output.scan("connected to Postgres again").size).to be <= 3
        expect(worker.output.scan("could not connect").size).to eq 2 * causes.size # the other line is the notifier's
      end
      expect(errors.map(&:message)).to eq []
    end
  end

  describe "that leaves it readable only" do
    it "is said once, and waited for" do
      capsule = start_capsule(max_threads: 2)
      held = enqueue_held
      server("ALTER SYSTEM SET default_transaction_read_only = on")
      server("SELECT pg_reload_conf()")
      latch.open
      wait_until("the runtime to say so") { log(/cannot run jobs: .*read-only/).any? }
      expect(capsule).to be_running
      server("ALTER SYSTEM RESET default_transaction_read_only")
      server("SELECT pg_reload_conf()")
      probe = expect_work_to_go_on(held)
      capsule.shutdown
      expect_each_once([held, *probe])
      expect(log(/cannot run jobs/).size).to eq 1
      expect(log(/connected to Postgres again/).size).to be <= 3
      expect(errors).to eq []
    ensure
      server("ALTER SYSTEM RESET default_transaction_read_only")
      server("SELECT pg_reload_conf()")
    end
  end

  describe "for want of connections" do
    let(:role) { role_of_own }

    # A run ends while no connection can be had, and many attempts to have one are made.
    def exhaust(message)
      held = enqueue_held
      refused = -> { Cluster.shared.log.scan(/FATAL: .*(?:#{message})/).size }
      before = refused.call
      server("ALTER ROLE #{role} CONNECTION LIMIT 0")
      server("SELECT pg_terminate_backend(pid) FROM unnest(ARRAY#{sessions}) AS pid")
      yield if block_given?
      latch.open
      wait_until("many attempts to connect") { refused.call > before + 7 }
      expect(log(/cannot run jobs: .*(?:#{message}).*max_connections/).size).to eq 1
      held
    end

    it "by a role's limit, is said once, and waited for" do
      capsule = capsule_by(url_of(role))
      held = exhaust("too many connections for role")
      server("ALTER ROLE #{role} CONNECTION LIMIT -1")
      probe = expect_work_to_go_on(held)
      capsule.shutdown
      expect_each_once([held, *probe])
      expect(log(/cannot run jobs/).size).to eq 1
      expect(errors).to eq []
    end

    it "by the server's limit, is said once, and waited for" do
      capsule = capsule_by(url_of(role))
      hog = role_of_own
      hogs = []
      held = exhaust("connection slots|too many clients already") do
        loop { hogs << PG.connect(host: Cluster.shared.directory, port: Cluster.shared.port, user: hog, dbname: "postgres") }
      rescue PG::ConnectionBad
        server("ALTER ROLE #{role} CONNECTION LIMIT -1")
      end
      hogs.each(&:close)
      probe = expect_work_to_go_on(held)
      capsule.shutdown
      expect_each_once([held, *probe])
      expect(log(/cannot run jobs/).size).to eq 2 # causes: the role's limit, which lets the hogs in first, and the server's
      expect(errors).to eq []
    ensure
      hogs&.each { |connection| connection.close unless connection.finished? }
    end
  end

  describe "as the server's limits of time would have it" do
    it "does not take place: the runtime's statements and sessions have their own" do
      role = role_of_own
      names = rows("SELECT name FROM pg_settings WHERE name LIKE '%\\_timeout' AND name ~ 'statement|lock_|idle|transaction'").map { |row| row["name"] }
      expect(names).to include("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
      names.each { |name| server("ALTER ROLE #{role} SET #{name} = '100ms'") }
      rows(<<~SQL)
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
        CREATE TRIGGER slow_disk AFTER INSERT ON good_job_executions FOR EACH STATEMENT EXECUTE FUNCTION dawdle();
      SQL
      capsule = capsule_by(url_of(role))
      jobs = enqueue(1)
      wait_until_stored(jobs)
      before = sessions
      beat = -> { rows("SELECT updated_at FROM good_job_processes").first }
      first = beat.call
      wait_until("another beat") { beat.call != first } # 3 s, in which the sessions are idle
      expect(sessions).to eq before
      jobs.concat(expect_work_to_go_on)
      capsule.shutdown
      expect_each_once(jobs)
      expect(errors).to eq []
    end
  end

  describe "by a disk that fills up", skip: SmallDisk.obstacle do
    let(:disk) { SmallDisk.new(megabytes: 4, owner: Cluster::OWNER) }
    let(:cluster) { Cluster.apart(within: disk.entrance) }

    after { disk.remove }

    # The tables are on it; what the server itself needs to live on is not.
    def move_tables_there
      server("CREATE TABLESPACE small LOCATION '#{disk.directory}'")
      rows("ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE small")
      rows("ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE small")
    end

    # The file has the size to which it grew, though its rows are rolled back.
    def fill
      rows("CREATE TABLE ballast (bytes text) WITH (autovacuum_enabled = off) TABLESPACE small")
      rows("ALTER TABLE ballast ALTER bytes SET STORAGE PLAIN")
      rows(<<~SQL)
        DO $$
          BEGIN
            LOOP INSERT INTO ballast VALUES (repeat('x', 7000)); END LOOP;
          EXCEPTION WHEN disk_full THEN NULL;
          END
        $$
      SQL
    end

    it "is said once, outcomes wait for room, and no job is lost or runs twice" do
      move_tables_there
      capsule = start_capsule(max_threads: 1)
      jobs = [enqueue_held, *enqueue(300)]
      fill
      latch.open
      refusals = -> { cluster.log.scan(/ERROR: .*No space left on device/).size }
      before = refusals.call
      wait_until("outcomes that wait, and many attempts to write") { capsule.snapshot[:unsaved_outcomes] > 10 && refusals.call > before + 8 }
      rows("DROP TABLE ballast")
      probe = expect_work_to_go_on(jobs.first)
      wait_until_stored(jobs)
      capsule.shutdown
      expect_each_once([*jobs, *probe])
      expect(errors.map(&:message)).to all(include("No space left on device"))
      expect(errors.size).to be_between(1, 2) # an outcome, and claims if any were tried
    end
  end
  it "by a full disk is said once, and outcomes wait for room" do
    tables = %w[good_jobs good_job_executions good_job_processes]
    rows(<<~SQL)
      CREATE SEQUENCE attempts;
      CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM nextval('attempts');
          RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
        END
      $$
    SQL
    capsule = start_capsule(max_threads: 2)
    held = enqueue_held
    tables.each { |table| rows("CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON #{table} FOR EACH STATEMENT EXECUTE FUNCTION fill()") }
    latch.open
    wait_until("many attempts to write") { Integer(rows("SELECT last_value FROM attempts").first["last_value"]) > 8 }
    expect(errors.map(&:message)).to all(include("No space left on device"))
    expect(errors.size).to be_between(1, 2) # an outcome, and claims if any were tried
    tables.each { |table| rows("DROP TRIGGER full_disk ON #{table}") }
    probe = expect_work_to_go_on(held)
    capsule.shutdown
    expect_each_once([held, *probe])
  end
end
