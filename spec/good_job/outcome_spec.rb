# frozen_string_literal: true

require "good_job"

RSpec.describe GoodJob::Outcome do
  def error(message, backtrace: ["a.rb:1"])
    RuntimeError.new(message).tap { |error| error.set_backtrace(backtrace) }
  end

  it "says class and message of an error" do
    expect(described_class.failed(error("no cheese"), :unhandled, preserve: true))
      .to eq(state: "failed", preserve: true, error: "RuntimeError: no cheese", error_event: "unhandled", error_backtrace: ["a.rb:1"])
  end

  it "makes text of any encoding valid UTF-8" do
    texts = ["\xff", "caf\xE9".dup.force_encoding("ISO-8859-1"), "\xff\xfe".b, "ok"].map { |text| described_class.error_text(error(text)) }
    expect(texts).to all(be_valid_encoding.and(have_attributes(encoding: Encoding::UTF_8)))
    expect(texts[1]).to eq "RuntimeError: café"
  end

  it "survives an error that cannot say what it is" do
    mute = Class.new(StandardError) { def message = raise("cannot") }
    expect(described_class.error_text(mute.new)).to match(/\A#<Class:.*>: \(its message could not be read: RuntimeError\)\z/)
  end

  it "bears an error without a backtrace" do
    expect(described_class.failed(RuntimeError.new("x"), :handled, preserve: false)).to include(error_backtrace: nil, preserve: false)
  end

  it "gives the time of the next attempt in whole microseconds" do
    row = instance_double(GoodJob::JobRow, serialized_params: "{}", queue_name: "q", priority: 1, labels: nil,
                                           scheduled_at: Time.at(1, 5, :microsecond))
    expect(described_class.retried(nil, nil, row))
      .to eq(state: "retried", preserve: true, retry: { serialized_params: "{}", queue_name: "q", priority: 1, labels: nil, scheduled_at: 1_000_005 })
  end

  it "costs nothing for a job that succeeded" do
    expect(described_class.succeeded(preserve: true)).to equal described_class.succeeded(preserve: true)
  end
end
