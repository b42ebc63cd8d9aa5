# frozen_string_literal: true

require_relative "../../support/integration"

RSpec.describe "GoodJob::Setting", :database, :integration do
  it "switches cron entries on and off by their keys, whatever they are by default" do
    setting = GoodJob::Setting
    enabled = -> { [setting.cron_key_enabled?(:nightly), setting.cron_key_enabled?("nightly", default: false)] }
    expect(enabled.call).to eq [true, false]
    setting.cron_key_enable(:nightly)
    expect(enabled.call).to eq [true, true]
    setting.cron_key_disable("nightly")
    expect(enabled.call).to eq [false, false]
    setting.cron_key_enable("nightly")
    expect(enabled.call).to eq [true, true]
    expect(setting.cron_key_enabled?(:daily)).to be true
  end

  it "pauses by queue, class or label, as GoodJob does" do
    GoodJob::Setting.pause(queue: "slow")
    GoodJob::Setting.pause(job_class: "RecordJob")
    GoodJob::Setting.pause(label: :grey)
    expect(GoodJob::Setting.paused).to eq(queues: ["slow"], job_classes: ["RecordJob"], labels: ["grey"])
    expect(GoodJob::Setting.paused(:labels)).to eq ["grey"]
    expect(GoodJob.paused).to eq GoodJob::Setting.paused
    GoodJob::Setting.unpause(queue: "slow")
    GoodJob::Setting.unpause(job_class: "RecordJob")
    expect([GoodJob::Setting.paused?, GoodJob::Setting.paused?(label: "grey"), GoodJob::Setting.paused?(queue: "slow")]).to eq [true, true, false]
    GoodJob::Setting.unpause(label: "grey")
    expect(GoodJob::Setting.paused?).to be false
  end

  it "takes for nothing what somebody else has left under its keys" do
    %w[pauses cron_keys_disabled cron_keys_enabled].each { |key| GoodJob::Setting.create!(key: key, value: "cheese") }
    expect([GoodJob::Setting.paused?, GoodJob::Setting.cron_key_enabled?("nightly")]).to eq [false, true]
    GoodJob::Setting.pause(queue: "slow")
    GoodJob::Setting.cron_key_disable("nightly")
    expect([GoodJob::Setting.paused(:queues), GoodJob::Setting.cron_key_enabled?("nightly")]).to eq [["slow"], false]
  end
end
