# frozen_string_literal: true

require_relative "../../support/integration"

RSpec.describe "GoodJob::Process", :database, :integration do
  def create(**attributes)
    GoodJob::Process.create!(id: SecureRandom.uuid, state: {}, **attributes)
  end

  it "is active while it holds its lock or, where it has none, has been seen lately" do
    start_capsule
    wait_until("the process's row") { GoodJob::Process.any? }
    locked = GoodJob::Process.first
    seen = create
    dead = create(lock_type: :advisory)
    silent = create(updated_at: 6.minutes.ago)
    expect(GoodJob::Process.active).to contain_exactly(locked, seen)
    expect(GoodJob::Process.inactive).to contain_exactly(dead, silent)
    expect([silent.expired?, silent.stale?, seen.stale?]).to eq [true, true, false]
  end

  it "is cleaned up after its death, and its jobs let go of" do
    dead = create(updated_at: 6.minutes.ago)
    job = GoodJob::Job.create!(id: SecureRandom.uuid, locked_by_id: dead.id, locked_at: 6.minutes.ago)
    expect(dead.locked_jobs).to eq [job]
    GoodJob::Process.cleanup
    expect(GoodJob::Process.count).to eq 0
    expect(job.reload).to have_attributes(locked_by_id: nil, locked_at: nil)
  end

  it "says what it is, anew when that is old" do
    process = create(updated_at: 1.minute.ago)
    process.refresh_if_stale
    expect(process.reload).to have_attributes(stale?: false, basename: File.basename($PROGRAM_NAME), schedulers: [],
                                              state: include("pid" => Process.pid, "memory" => be_positive))
    expect(GoodJob::Process.memory_usage(Process.pid)).to be_between(10_000, 10_000_000)
  end

  it "says of a process that runs jobs how much memory it has and how many connections, anew every few seconds" do
    start_capsule
    wait_until("the process's row") { GoodJob::Process.any? }
    process = GoodJob::Process.first
    size = ActiveRecord::Base.connection_pool.size
    expect(process.state).to include("memory" => be_between(10_000, 10_000_000),
                                     "database_connection_pool" => { "size" => size, "active" => be >= 1 })
    active = -> { process.reload.state.dig("database_connection_pool", "active") }
    before = active.call
    held = Thread::Queue.new
    threads = Array.new(3) { Thread.new { ActiveRecord::Base.connection_pool.with_connection { held.pop } } }
    wait_until("the connections to be counted") { active.call >= before + 3 }
    3.times { held << nil }
    threads.each(&:join)
  end

  it "says of each pool when it last looked for jobs, and when one last ended" do
    start_capsule(queues: "mice:1;rats:1")
    RecordJob.set(queue: "mice").perform_later
    schedulers = -> { GoodJob::Process.first&.schedulers.to_a }
    wait_until("a run to be seen") { schedulers.call.any? { |pool| pool["execution_at"] } }
    mice, rats = schedulers.call
    expect([mice["execution_at"], mice["check_queue_at"], rats["check_queue_at"]].map { |text| Time.iso8601(text) }).to all be_within(60).of(Time.now)
    expect(rats["execution_at"]).to be_nil
  end
end
