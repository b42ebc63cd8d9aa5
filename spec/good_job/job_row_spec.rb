# frozen_string_literal: true

require "good_job"
require "bigdecimal"

RSpec.describe GoodJob::JobRow do
  before { stub_const("MouseJob", Class.new(ActiveJob::Base)) }

  def row(job = MouseJob.new, **options)
    described_class.new(job, **options)
  end

  it "takes what Active Job says, and defaults for the rest" do
    job = MouseJob.new("cheese")
    expect(row(job)).to have_attributes(
      id: job.job_id, active_job_id: job.job_id, job_class: "MouseJob", queue_name: "default", priority: 0,
      scheduled_at: nil, concurrency_key: nil, labels: nil, announce?: true
    )
    expect(JSON.parse(row(job).serialized_params)).to include(job.serialize.except("enqueued_at"))
  end

  it "keeps Floats of seconds to the microsecond" do
    expect(row(scheduled_at: 1_900_000_000.123456).scheduled_at).to eq Time.at(1_900_000_000, 123_456, :microsecond)
  end

  it "is due when no time is given, or when it has come" do
    now = Time.now
    expect([nil, now, now + 1].map { |time| row(scheduled_at: time).due?(now) }).to eq [true, true, false]
  end

  it "writes values as Active Support does, plain or not" do
    values = { "a" => [1, 1.5, nil, true, "é\u2028<"], "time" => Time.utc(2030), "decimal" => BigDecimal("1.50"), "nan" => Float::NAN, "s" => :s }
    job = MouseJob.new
    job.define_singleton_method(:serialize) { values }
    expect(JSON.parse(row(job).serialized_params)).to eq JSON.parse(ActiveSupport::JSON.encode(values))
    values.keep_if { |key, _value| key == "a" }
    expect(JSON.parse(row(job).serialized_params)).to eq JSON.parse(ActiveSupport::JSON.encode(values))
  end

  it "writes values nested deeper than JSON's own limit" do
    deep = 120.times.inject("bottom") { |value, _level| [value] }
    job = MouseJob.new
    job.define_singleton_method(:serialize) { { "deep" => deep } }
    expect(JSON.parse(row(job).serialized_params, max_nesting: false)).to eq("deep" => deep)
  end

  it "takes labels as text, stripped, once each, and none for an empty list" do
    lists = [[" a", :b, nil, "a ", ""], [], nil]
    labels = lists.map do |list|
      job = MouseJob.new
      job.define_singleton_method(:good_job_labels) { list }
      row(job).labels
    end
    expect(labels).to eq [%w[a b], nil, nil]
  end

  it "is silent when the job says so, or its class while the job says nothing" do
    announcements = [[false, true], [nil, false], [true, false], [nil, nil]].map do |own, of_class|
      job = MouseJob.new
      job.define_singleton_method(:good_job_notify) { own }
      MouseJob.define_singleton_method(:good_job_notify) { of_class }
      row(job).announce?
    end
    expect(announcements).to eq [false, false, true, true]
  end
end
