# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "Pauses", :database, :integration do
  before do
    stub_const("MouseJob", Class.new(RecordJob))
  end

  def labeled_job(*labels)
    job = RecordJob.perform_later
    GoodJob::Job.where(id: job.job_id).update_all(labels: labels)
    job
  end

  def waiting
    GoodJob::Job.unfinished.ids
  end

  describe "the settings" do
    it "name queues, classes and labels" do
      GoodJob.pause(queue: "slow")
      GoodJob.pause(queue: :slow)
      GoodJob.pause(job_class: "MouseJob")
      GoodJob.pause(label: "grey")
      expect(GoodJob.paused).to eq(queues: ["slow"], job_classes: ["MouseJob"], labels: ["grey"])
      expect(GoodJob.paused(:queues)).to eq ["slow"]
      expect(GoodJob::Setting.find_by(key: "pauses").value).to eq("queues" => ["slow"], "job_classes" => ["MouseJob"], "labels" => ["grey"])
      expect([GoodJob.paused?, GoodJob.paused?(queue: "slow"), GoodJob.paused?(label: "white")]).to eq [true, true, false]
      GoodJob.unpause(label: "grey")
      expect(GoodJob.paused?(label: "grey")).to be false
    end

    it "want one of the three, and say so" do
      expect { GoodJob.pause }.to raise_error(ArgumentError, "Must provide exactly one of queue, job_class, or label")
      expect { GoodJob.unpause(queue: "a", label: "b") }.to raise_error(ArgumentError, "Must provide exactly one of queue, job_class, or label")
      expect { GoodJob.paused?(queue: "a", label: "b") }.to raise_error(ArgumentError, "Must provide at most one of queue, job_class, or label")
      expect(GoodJob.paused?).to be false
    end

    it "lose nothing when two change them at once" do
      Array.new(8) { |number| Thread.new { GoodJob.within_executor { GoodJob.pause(queue: "queue#{number}") } } }.each(&:join)
      expect(GoodJob.paused(:queues).size).to eq 8
    end
  end

  {
    "a pool over all queues" => "*", "a pool of one queue" => "default", "a pool over all queues but some" => "-other", "ordered queues" => "+default,slow"
  }.each do |name, queues|
    it "hold jobs of a class and with a label back from #{name}, and let others pass" do
      GoodJob.pause(job_class: "MouseJob")
      GoodJob.pause(label: "grey")
      held = [MouseJob.perform_later, labeled_job("grey", "small")]
      passed = [RecordJob.perform_later, labeled_job("white")]
      start_capsule(queues: queues, enable_pauses: true)
      wait_until_finished(*passed)
      later = RecordJob.perform_later
      wait_until_finished(later)
      expect(waiting).to match_array(held.map(&:job_id))

      GoodJob.unpause(job_class: "MouseJob")
      GoodJob.unpause(label: "grey")
      wait_until_finished(*held)
    end
  end

  it "are left out by a scope, where they can be" do
    GoodJob.pause(queue: "slow")
    GoodJob.pause(label: "grey")
    RecordJob.set(queue: "slow").perform_later
    labeled_job("grey")
    plain = RecordJob.perform_later
    expect(GoodJob::Job.exclude_paused.count).to eq 3
    allow(GoodJob).to receive(:configuration).and_return(new_capsule(enable_pauses: true).configuration)
    expect(GoodJob::Job.exclude_paused.ids).to eq [plain.job_id]
    GoodJob.pause(job_class: "RecordJob")
    expect(GoodJob::Job.exclude_paused).to be_empty
  end

  it "hold a queue back, and let it go when they are lifted" do
    GoodJob.pause(queue: "slow")
    slow = RecordJob.set(queue: "slow").perform_later
    start_capsule(enable_pauses: true)
    wait_until_finished(RecordJob.perform_later)
    expect(waiting).to eq [slow.job_id]
    GoodJob.unpause(queue: "slow")
    wait_until_finished(slow)
  end

  it "hold back what waits for a slot of a limit, too" do
    allow(GoodJob).to receive(:configuration).and_return(new_capsule(enable_pauses: true).configuration)
    stub_const("LimitedJob", Class.new(LatchedJob) do
      include GoodJob::ActiveJobExtensions::Concurrency

      good_job_control_concurrency_with(perform_limit: 1, key: "one at a time")
    end)
    start_capsule(enable_pauses: true)
    first, second = Array.new(2) { LimitedJob.perform_later(latch.path).tap { |job| wait_until("the job to be looked at") { row(job).locked_at } } }
    wait_until("the second to be parked") { row(second).then { |row| row.locked_at && row.locked_by_id.nil? } }
    GoodJob.pause(job_class: "LimitedJob")
    latch.open
    wait_until_finished(first, RecordJob.perform_later)
    expect(waiting).to eq [second.job_id]
    GoodJob.unpause(job_class: "LimitedJob")
    wait_until_finished(second)
  end

  it "are heard of by a worker that runs" do
    start_capsule(enable_pauses: true)
    wait_until_finished(RecordJob.perform_later)
    GoodJob.pause(queue: "slow")
    # Both are read on one connection, in this order.
    wait_until("the worker to have heard") do
      slow = RecordJob.set(queue: "slow", wait: 0.1).perform_later
      wait_until_finished(RecordJob.set(wait: 0.2).perform_later)
      waiting.include?(slow.job_id)
    end
  end

  it "are noticed without an announcement" do
    GoodJob::Setting.create!(key: "pauses", value: { queues: ["default"] })
    held = RecordJob.perform_later
    start_capsule(enable_pauses: true)
    GoodJob::Setting.where(key: "pauses").update_all(value: { queues: [] })
    wait_until_finished(held, limit_seconds: 10)
  end

  it "mean nothing unless they are enabled" do
    GoodJob.pause(queue: "default")
    start_capsule
    wait_until_finished(RecordJob.perform_later)
  end

  it "hold back perform_inline, too" do
    GoodJob.pause(job_class: "MouseJob")
    held = MouseJob.perform_later
    passed = RecordJob.perform_later
    allow(GoodJob).to receive(:configuration).and_return(new_capsule(enable_pauses: true).configuration)
    expect(GoodJob.perform_inline).to eq 1
    expect(waiting).to eq [held.job_id]
    expect(row(passed)).to be_finished
  end
end
