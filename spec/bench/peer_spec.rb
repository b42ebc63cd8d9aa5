# frozen_string_literal: true

require "fileutils"
require "tmpdir"
require_relative "../../bench/support/command_line"

RSpec.describe Bench::Peer do
  def with_checkout(files)
    Dir.mktmpdir do |directory|
      files.each do |path, text|
        FileUtils.mkdir_p(File.dirname(File.join(directory, path)))
        File.write(File.join(directory, path), text)
      end
      stub_const("ENV", ENV.to_h.merge("PEER_PATH" => directory))
      yield directory
    end
  end

  described_class.names.each do |name|
    it "knows #{name}, whether or not it is installed" do
      peer = described_class.find(name)

      expect(peer.name).to eq name
      expect(peer.gems.first).to eq name
      expect(Object.const_get(peer.class.name)).to eq peer.class
    end

    it "gives #{name} every method that our own queue has" do
      expected = Bench::GoodJobRs.public_instance_methods(false) - %i[prefetch_optional?]

      expect(expected - described_class.find(name).public_methods).to be_empty
    end
  end

  it "takes the version from a checkout, and needs no installed gem then" do
    with_checkout("lib/que.rb" => "", "lib/que/version.rb" => "# v1\nmodule Que\n  VERSION = '2.4.1'\nend\n") do
      peer = described_class.find("que")

      expect(peer.missing).to be_nil
      expect(peer.version).to eq "2.4.1"
    end
  end

  it "says what is missing where there is neither gem nor checkout" do
    with_checkout("lib/other.rb" => "") do
      peer = described_class.find("solid_queue")
      allow(peer).to receive(:installed_version).and_return(nil)

      expect(peer.missing).to eq "the gem solid_queue"
    end
  end

  it "runs outside of the bundle" do
    expect(described_class.find("que").environment).to include("BUNDLE_GEMFILE" => nil)
  end
end
