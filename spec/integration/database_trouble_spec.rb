# frozen_string_literal: true

require_relative "../support/cluster"
require_relative "../support/integration"

RSpec.describe "Trouble with the database", :database, :integration do
  # A database in a server that the example may stop.
  def database_of_own
    Cluster.shared
    url = Cluster.shared.url(Cluster.shared.create_database)
    Postgres.execute(url, SpecRun::TABLE)
    url
  end

  def enqueue_in(url, count = 1)
    ruby("#{count}.times { puts RecordJob.perform_later.job_id }", env: { "DATABASE_URL" => url }).tap do |script|
      expect(script.wait).to be_success
    end.output.split
  end

  def wait_for_runs(url, job_ids)
    wait_until("the jobs to run", limit_seconds: 30) do
      runs = Postgres.execute(url, "SELECT job_id FROM spec_runs ORDER BY id").map { |row| row.fetch("job_id") }
      runs.sort == job_ids.sort
    end
  end

  describe "at the start of a worker" do
    # What it prints, apart from its log.
    def complaint(database_url, **options)
      worker = good_job(env: { "DATABASE_URL" => database_url }.merge(options.delete(:env) || {}), **options)
      expect(worker.wait.exitstatus).to eq 1
      expect(worker.output).not_to match(/^\s+from /)
      worker.output[/^GoodJob (?:cannot start|needs).*\z/m] || "no complaint in: #{worker.output}"
    end

    def closed_port
      server = TCPServer.new("127.0.0.1", 0)
      server.addr[1]
    ensure
      server.close
    end

    it "that no server is there to be connected to" do
      port = closed_port
      expect(complaint("postgres://postgres@127.0.0.1:#{port}/cheese"))
        .to include("127.0.0.1", port.to_s, "refused").and match(/Start|start|running/)
    end

    it "that the socket is not there" do
      expect(complaint("postgres://postgres@#{CGI.escape(File.dirname(latch.path))}/cheese")).to include(File.dirname(latch.path)).and match(/start|running/i)
    end

    it "that the password is wrong, without saying what it was" do
      Cluster.shared.create_user("mouse", "right")
      text = complaint(Cluster.shared.url_for("mouse", "s3cr3t-but-wrong", Cluster.shared.create_database))
      expect(text).to include("mouse").and match(/password/i)
      expect(launched.last.output).not_to include "s3cr3t"
    end

    it "that the database does not exist" do
      expect(complaint(Postgres.url("no_such_cheese"))).to include("no_such_cheese", "does not exist").and match(/create/i)
    end

    it "that its tables are missing" do
      name = "#{SpecDatabase::NAME}_bare"
      expect(complaint(Postgres.create(name, tables: false))).to include("good_jobs").and match(/migrat|good_job:install/)
    ensure
      Postgres.drop(name)
    end

    it "that the server is not PostgreSQL" do
      server = TCPServer.new("127.0.0.1", 0)
      Thread.new do
        while (client = server.accept)
          client.write("HTTP/1.1 400 Bad Request\r\n\r\n")
          client.close
        end
      rescue IOError
        nil
      end
      expect(complaint("postgres://postgres@127.0.0.1:#{server.addr[1]}/cheese")).to include(server.addr[1].to_s).and match(/not (?:a )?PostgreSQL/i)
    ensure
      server&.close
    end

    it "that the configured database is not PostgreSQL" do
      env = { "RUBYLIB" => [Project.path("spec/support/foreign_adapter").to_s, ENV.fetch("RUBYLIB", nil)].compact.join(":") }
      text = complaint(SpecDatabase.url.sub(/\Apostgres(ql)?:/, "cheese:"), env: env,
                                                                            configuration: "require 'active_record/connection_adapters/cheese_adapter'")
      expect(text).to include("GoodJob needs PostgreSQL", "\"cheese\"", "GoodJob.active_record_parent_class")
    end

    it "that a setting of the connection makes no sense" do
      expect(complaint("#{SpecDatabase.url}?sslmode=sideways")).to include("sslmode", "sideways")
    end
  end

  describe "while a worker runs" do
    it "lets running jobs finish, and saves how they ended once the database is back" do
      url = database_of_own
      worker = good_job("--max-threads=2", env: { "DATABASE_URL" => url })
      job_id = ruby("puts OfflineJob.perform_later(#{latch.path.inspect}).job_id", env: { "DATABASE_URL" => url }).tap(&:wait).output.strip
      wait_until("the job to start") { latch.notes == ["started"] }
      Cluster.shared.stop
      latch.open
      wait_until("the job to end") { latch.notes == %w[started finished] }
      expect(worker).to be_alive
      Cluster.shared.start

      job = wait_until("the outcome to be saved", limit_seconds: 30) do
        Postgres.execute(url, "SELECT * FROM good_jobs WHERE id = $1 AND finished_at IS NOT NULL", [job_id]).first
      end
      expect(job).to include("error" => nil, "executions_count" => "1", "locked_by_id" => nil)
      wait_for_runs(url, enqueue_in(url, 5))
      expect(worker.stop.exitstatus).to eq 0
      expect(latch.notes).to eq %w[started finished]
    ensure
      Cluster.shared.start
    end
  end

  describe "while a web server runs, in async mode" do
    it "lets it serve; jobs run once the database is there, and again after an outage" do
      url = database_of_own
      Cluster.shared.stop
      server = puma(env: { "DATABASE_URL" => url })
      expect(get(server, "/pid").code).to eq "200"
      server.wait_for_output(/GoodJob cannot run jobs: .*/)
      expect(get(server, "/pid").code).to eq "200"

      Cluster.shared.start
      job_ids = [post(server, "/jobs").body]
      wait_for_runs(url, job_ids)

      Cluster.shared.stop
      expect(get(server, "/pid").code).to eq "200"
      expect(post(server, "/jobs").code).to eq "500"
      Cluster.shared.start
      job_ids << post(server, "/jobs").body
      wait_for_runs(url, job_ids)
      expect(server.output.scan("GoodJob cannot run jobs").size).to be < 10
    ensure
      Cluster.shared.start
    end

    it "lets it serve where the configuration makes no sense for jobs" do
      server = puma(env: { "DATABASE_URL" => "#{SpecDatabase.url}?sslmode=sideways" })
      expect(get(server, "/pid").code).to eq "200"
      server.wait_for_output(/GoodJob .*sslmode/)
    end
  end
end
