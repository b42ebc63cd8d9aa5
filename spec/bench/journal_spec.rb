# frozen_string_literal: true

require_relative "../../bench/support/command_line"

RSpec.describe Bench::Journal do
  it "reads the runs of each worker, those that never ended too, and of one job as many as there were" do
    Dir.mktmpdir do |directory|
      File.write(File.join(directory, "1"), "began a 10\nbegan b 11\nended a 12\nbegan a 13\n")
      File.write(File.join(directory, "2"), "began b 20\nended b 21\n")
      expect(described_class.new(directory).runs.map(&:to_a)).to contain_exactly(
        ["a", 1, 10, 12], ["b", 1, 11, nil], ["a", 1, 13, nil], ["b", 2, 20, 21]
      )
    end
  end
end
