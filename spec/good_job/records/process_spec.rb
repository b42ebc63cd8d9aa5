# frozen_string_literal: true

require_relative "../../support/integration"

RSpec.describe "GoodJob::Process", :database, :integration do
  def create(**attributes)
    GoodJob::Process.create!(id: SecureRandom.uuid, state: {}, **attributes)
  end

  it "is active while it holds its lock or, where it has none, has been seen lately" do
    locked, dead = Array.new(2) { create(lock_type: :advisory) }
    seen = create
    silent = create(updated_at: 6.minutes.ago)
    locked.with_advisory_lock do
      expect(GoodJob::Process.active).to contain_exactly(locked, seen)
      expect(GoodJob::Process.inactive).to contain_exactly(dead, silent)
    end
    expect([silent.expired?, silent.stale?, seen.stale?]).to eq [true, true, false]
  end

  it "is active while it runs jobs" do
    start_capsule
    wait_until("the process's row") { GoodJob::Process.any? }
    expect(GoodJob::Process.active).to contain_exactly(have_attributes(lock_type: "advisory"))
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

  it "says nothing of caches, of which a pool has none" do
    start_capsule(queues: "mice:1;rats:1")
    wait_until("the process's row") { GoodJob::Process.any? }
    known = %w[name queues max_threads active_threads available_threads empty_executions_count errored_executions_count
               succeeded_executions_count total_executions_count execution_at check_queue_at]
    expect(GoodJob::Process.first.schedulers.map(&:keys)).to all match_array(known)
  end

  it "would say of this process what it is and how it treats jobs" do
    GoodJob.retry_on_unhandled_error = true
    expect(GoodJob::Process.process_state).to include(
      hostname: Socket.gethostname, pid: Process.pid, proctitle: $PROGRAM_NAME, memory: be_positive, preserve_job_records: true,
      retry_on_unhandled_error: true
    )
    GoodJob.preserve_job_records = ->(*) { false }
    expect(GoodJob::Process.process_state[:preserve_job_records]).to be true
    GoodJob.preserve_job_records = :on_unhandled_error
    expect(GoodJob::Process.process_state[:preserve_job_records]).to eq :on_unhandled_error
  end

  it "says what it is when told to, keeps what else it has said, and knows when its row is gone" do
    process = create(state: { "pid" => 1, "schedulers" => [{ "queues" => "mice" }] }, updated_at: 1.minute.ago)
    expect(process.refresh).to be true
    expect(process.reload).to have_attributes(stale?: false, state: include("pid" => Process.pid), schedulers: [{ "queues" => "mice" }])
    GoodJob::Process.delete_all
    expect(process.refresh).to be false
    expect(GoodJob::Process.count).to eq 0
  end

  it "cleans up after dead ones, if told to, when what it says is old" do
    dead = create(updated_at: GoodJob::Process::EXPIRED_INTERVAL.ago - 1)
    fresh = create
    old = create(updated_at: GoodJob::Process::STALE_INTERVAL.ago - 1)
    fresh.refresh_if_stale(cleanup: true)
    old.refresh_if_stale
    expect(GoodJob::Process.inactive).to eq [dead]
    old.update!(updated_at: 31.seconds.ago)
    old.refresh_if_stale(cleanup: true)
    expect(GoodJob::Process.all).to contain_exactly(fresh, old)
    expect([GoodJob::Process::STALE_INTERVAL, GoodJob::Process::EXPIRED_INTERVAL]).to eq [30.seconds, 5.minutes]
  end
end
