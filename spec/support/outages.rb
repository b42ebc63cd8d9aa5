# frozen_string_literal: true

require "stringio"
require_relative "cluster"
require_relative "integration"
require_relative "proxy"

# What the specs of outages have in common: a server to which an example may do anything, capsules in this process whose jobs need no
# database, and the proof that each job has run as promised.
module Outages
  # Within which work goes on once the database is back.
  PROMISE_S = 5

  # @return [Cluster] that suffers the outage
  def cluster
    Cluster.shared
  end

  # @return [String] of a database of the example's own
  def url
    @url ||= cluster.url(cluster.create_database)
  end

  # @return [Array<Hash>]
  def rows(sql)
    Postgres.execute(url, sql)
  end

  # As somebody to whom no limit applies.
  # @return [Array<Hash>]
  def server(sql)
    Postgres.execute(cluster.url, sql)
  end

  # By which Active Record, and capsules from then on, reach the database.
  def connect(by = url)
    ActiveRecord::Base.establish_connection([by, "pool=#{SpecDatabase::POOL_SIZE}"].join(by.include?("?") ? "&" : "?"))
  end

  def proxy
    @proxy ||= Proxy.new(Cluster.shared.port)
  end

  # @return [String] whom limits apply to
  def role_of_own
    name = "rat_#{SecureRandom.hex(4)}"
    server("CREATE ROLE #{name} LOGIN PASSWORD 'rat'")
    rows("GRANT ALL ON ALL TABLES IN SCHEMA public TO #{name}")
    name
  end

  # @return [String] of the example's database
  def url_of(role)
    Cluster.shared.url_for(role, "rat", URI(url).path.delete_prefix("/"))
  end

  # A capsule that is connected, by a way that Active Record does not take.
  def capsule_by(way, **options)
    connect(way)
    capsule = start_capsule(**options)
    connect
    wait_until("the capsule to listen", limit_seconds: 30) { capsule.snapshot[:listening] }
    capsule
  end

  # @return [Array<Integer>] the server processes of the runtimes
  def sessions
    server("SELECT pid FROM pg_stat_activity WHERE application_name = 'GoodJob' ORDER BY pid").map { |row| Integer(row.fetch("pid")) }
  end

  # @return [Array<ActiveJob::Base>]
  def enqueue(count, job_class: ShortJob, **attributes)
    jobs = Array.new(count) { job_class.new.tap { |job| attributes.each { |name, value| job.public_send(:"#{name}=", value) } } }
    expect(ActiveJob::Base.queue_adapter.enqueue_all(jobs)).to eq count
    jobs
  ensure
    # What is going to be done to the server is done to the application's connections too.
    ActiveRecord::Base.connection_handler.clear_all_connections!
  end

  def enqueue_held
    job = OfflineJob.perform_later(latch.path)
    wait_until("the held job to start") { latch.notes.include?("started") }
    job
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  # What is enqueued now, for each of the queues, is done within the promise; what has ended meanwhile is stored within it too.
  # @return [Array<ActiveJob::Base>] what was enqueued
  def expect_work_to_go_on(*ended, queues: ["default"], job_class: ShortJob)
    back_at = now
    probes = queues.flat_map { |queue| enqueue(1, job_class: job_class, priority: -10, queue_name: queue) }
    wait_until("work to go on", limit_seconds: 30) { unfinished(probes + ended).empty? }
    expect(now - back_at).to be < PROMISE_S
    probes
  end

  def wait_until_stored(jobs)
    wait_until("#{jobs.size} outcomes to be stored", limit_seconds: 60) { unfinished(jobs).empty? }
  end

  def unfinished(jobs)
    ids = jobs.map { |job| "'#{job.job_id}'" }.join(",")
    rows("SELECT id FROM good_jobs WHERE id IN (#{ids}) AND finished_at IS NULL")
  end

  # Each ran once, ended well, and is on record once; nobody holds it, and nothing was told that would be wrong.
  def expect_each_once(jobs)
    found = rows(<<~SQL).map(&:values)
      SELECT count(*) AS attempts, count(*) FILTER (WHERE execution.error IS NULL) AS successes, job.executions_count, job.error, job.locked_by_id
      FROM good_jobs AS job JOIN good_job_executions AS execution ON execution.active_job_id = job.id
      WHERE job.finished_at IS NOT NULL
      GROUP BY job.id
    SQL
    expect(found.tally).to eq(["1", "1", "1", nil, nil] => jobs.size)
    expect(ShortJob.runs.tally.values.uniq).to eq([1]) if ShortJob.runs.any?
    expect(errors.map(&:class) & [GoodJob::LostLeaseError]).to be_empty
  end

  # @return [Array<String>] lines of the log that match
  def log(pattern = //)
    @log.string.lines(chomp: true).grep(pattern)
  end

  # @return [Array<Exception>] what was reported
  attr_reader :errors
end

RSpec.configure do |config|
  config.include Outages, :outage

  config.before(:each, :outage) do
    stub_const("ShortJob", Class.new(ActiveJob::Base) do
      class << self
        attr_accessor :runs
      end

      # As long as many a job, and like a job that talks to something else than the database.
      def perform
        IO.select([], [], [], 0.01)
        self.class.runs << job_id
      end
    end)
    ShortJob.runs = []
    @errors = []
    @log = StringIO.new
    GoodJob.logger = Logger.new(@log)
    GoodJob.on_thread_error = ->(error) { @errors << error }
    connect
  end

  # Before capsules are shut down, which want to take leave.
  config.after(:each, :outage) do
    cluster.start
    @proxy&.resume
  end

  config.append_after(:each, :outage) do
    @proxy&.remove
    SpecDatabase.connect
    Cluster.remove_apart
  end
end
