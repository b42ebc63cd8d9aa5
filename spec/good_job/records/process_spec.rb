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
end
