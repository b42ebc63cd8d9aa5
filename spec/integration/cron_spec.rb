# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "Cron", :database, :integration do
  let(:every_second) { { class: "RecordJob", cron: "* * * * * *" } }

  def cron_capsule(entries, **options)
    start_capsule(enable_cron: true, cron: entries, **options)
  end

  def ticks(key)
    GoodJob::Job.where(cron_key: key).order(:cron_at).pluck(:cron_at)
  end

  def application(entries, **options)
    settings = { enable_cron: true, cron: entries, **options }
    settings.map { |name, value| "config.good_job.#{name} = #{value.inspect}" }.join("\n")
  end

  it "enqueues and runs a job each time an entry is due" do
    cron_capsule({ tick: every_second })
    wait_until("three ticks to have run") { GoodJob::Job.where(cron_key: "tick").finished.count >= 3 }
    first, second, third = ticks("tick")
    expect([second - first, third - second]).to eq [1, 1]
    expect(first.usec).to eq 0
  end

  it "enqueues each tick once though three processes do it, and says so once" do
    workers = Array.new(3) { running_worker(configuration: application({ tick: every_second })) }
    wait_until("five ticks") { ticks("tick").size >= 5 }
    workers.each(&:stop)

    seen = ticks("tick")
    expect(seen).to eq((0...seen.size).map { |second| seen.first + second })
    output = workers.map(&:output).join
    expect(output).to include "GoodJob started cron with 1 job(s)."
    expect(output).not_to match(/halted|Failed enqueuing|duplicate/)
  end

  it "does nothing unless it is enabled" do
    start_capsule(cron: { tick: every_second })
    job = RecordJob.perform_later
    wait_until_finished(job)
    expect(capsules.last.instance_variable_get(:@cron)).to be_nil
  end

  it "enqueues nothing for an entry that is switched off" do
    GoodJob::Setting.cron_key_disable(:off)
    cron_capsule({ off: every_second, on: every_second })
    wait_until("two ticks of the other") { ticks("on").size >= 2 }
    expect(ticks("off")).to be_empty
  end

  it "enqueues after a restart what was due in the graceful period, and nothing twice" do
    minute = { class: "RecordJob", cron: "* * * * *" }
    this_minute = Time.current.change(sec: 0)
    GoodJob::CronEntry.new(key: :minute, **minute).enqueue(this_minute - 60)
    cron_capsule({ minute: minute }, cron_graceful_restart_period: 179)
    expected = [this_minute - 120, this_minute - 60, this_minute]
    wait_until("the ticks that were missed") { (expected - ticks("minute")).empty? }
    expect(ticks("minute").tally.values.uniq).to eq [1]
  end

  it "goes on when an entry fails" do
    told = []
    GoodJob.on_thread_error = ->(error) { told << error.message }
    cron_capsule({ broken: { **every_second, args: -> { raise IOError, "no arguments today" } }, gone: { **every_second, class: "GoneJob" }, tick: every_second })
    wait_until("three ticks of the entry that works") { ticks("tick").size >= 3 }
    expect(told).to include("no arguments today", /GoneJob/)
  end

  it "catches up with a tick for which there was no database" do
    failures = 2
    allow(GoodJob::Setting).to receive(:cron_key_enabled?).and_wrap_original do |original, *arguments, **options|
      raise ActiveRecord::ConnectionNotEstablished, "gone" if (failures -= 1) >= 0

      original.call(*arguments, **options)
    end
    started_at = Time.current
    cron_capsule({ tick: every_second })
    wait_until("the late ticks", limit_seconds: 20) { ticks("tick").first(4).size == 4 && ticks("tick").first <= started_at + 1 }
    seen = ticks("tick")
    expect(seen).to eq((0...seen.size).map { |second| seen.first + second })
  end

  it "stops with its capsule" do
    capsule = cron_capsule({ tick: every_second })
    wait_until("a tick") { ticks("tick").any? }
    capsule.shutdown
    expect(Thread.list.map(&:name)).not_to include("good_job cron")
  end

  it "asks a callable again and again, with the time it has answered last" do
    asked = []
    start = Time.current.change(usec: 0) + 1
    cron_capsule({ odd: { class: "RecordJob", cron: ->(last) { (asked << last) && (last ? last + 2 : start) } } })
    wait_until("two ticks") { ticks("odd").size >= 2 }
    expect(ticks("odd").first(2)).to eq [start, start + 2]
    expect(asked.first(2)).to eq [nil, start]
  end

  it "uses no thread and no connection of the application's while it waits" do
    cron_capsule({ later: { class: "RecordJob", cron: "0 0 1 1 *" } })
    wait_until("the thread to wait") { Thread.list.find { |thread| thread.name == "good_job cron" }&.stop? }
    owners = ActiveRecord::Base.connection_pool.connections.map(&:owner).compact
    expect(owners).not_to include(Thread.list.find { |thread| thread.name == "good_job cron" })
  end
end
