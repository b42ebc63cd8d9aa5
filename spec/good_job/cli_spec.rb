# frozen_string_literal: true

require "good_job"
require "good_job/cli"

RSpec.describe GoodJob::CLI do
  around do |example|
    before = [described_class.within_exe, described_class.log_to_stdout]
    example.run
  ensure
    described_class.within_exe, described_class.log_to_stdout = before
    GoodJob.logger = GoodJob::DEFAULT_LOGGER
  end

  it "has two commands, of which one need not be named" do
    expect(described_class).to be < Thor
    expect(described_class.commands.keys).to contain_exactly("start", "cleanup_preserved_jobs")
    expect(described_class.default_command).to eq "start"
  end

  it "is known as the executable where that says so" do
    answers = [true, false, nil].map do |within_exe|
      described_class.within_exe = within_exe
      GoodJob.cli?
    end
    expect(answers).to eq [true, false, false]
  end

  # @return [Integer] how many loggers write to standard output
  def loggers_to_stdout(own_logger, log_to_stdout:)
    GoodJob.logger = own_logger
    described_class.log_to_stdout = log_to_stdout
    described_class.new.send(:log_to_stdout)
    GoodJob::LogSubscriber.loggers.count { |logger| ActiveSupport::Logger.logger_outputs_to?(logger, $stdout) }
  end

  it "logs to standard output where that is wanted, but not twice" do
    expect(loggers_to_stdout(ActiveSupport::Logger.new(nil), log_to_stdout: true)).to eq 1
    expect(loggers_to_stdout(ActiveSupport::Logger.new(nil), log_to_stdout: false)).to eq 0
    expect(loggers_to_stdout(ActiveSupport::Logger.new($stdout), log_to_stdout: true)).to eq 1
  end
end
