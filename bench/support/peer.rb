# frozen_string_literal: true

require "bundler"
require "rbconfig"

module Bench
  # Another queue, with which ours is compared: what {GoodJobRs} is, and what has to be said of a guest. It runs if its gem is installed,
  # or if PEER_PATH names a checkout of it; it is no part of the bundle.
  class Peer
    DIRECTORY = File.expand_path("../peers", __dir__)

    class << self
      # @return [Array<String>]
      def names
        Dir.children(DIRECTORY).map { |file| File.basename(file, ".rb") }.sort
      end

      # @param name [String] one of {names}
      # @return [Peer]
      def find(name)
        file = File.join(DIRECTORY, "#{name}.rb")
        require file
        Peers.const_get(name.split("_").map(&:capitalize).join).new
      end
    end

    def name
      File.basename(file, ".rb")
    end

    # @return [Array<String>] its gems; that of its own name first
    def gems
      [name]
    end

    # @return [Hash{Symbol => Object}] what was set as its documentation recommends, to be printed
    def settings
      {}
    end

    # @return [Hash{String => String, nil}] of the measured processes: outside of the bundle
    def environment
      outside = Bundler.unbundled_env
      (ENV.keys | outside.keys).to_h { |variable| [variable, outside[variable]] }
    end

    # @return [String, nil] what is not installed
    def missing
      absent = gems.reject { |gem| gem == name && checkout }.find { |gem| installed_version(gem).nil? }
      "the gem #{absent}" if absent
    end

    # @return [String]
    def version
      @version ||= checkout ? checkout_version : installed_version(name)
    end

    # @return [Integer] the part of the jobs that it gets: a tenth for those that would need minutes for all
    def jobs(count)
      count
    end

    # Gives back what it holds beside its tables.
    def close; end

    # --- Inside the measured process

    def load
      $LOAD_PATH.unshift(File.join(checkout, "lib")) if checkout
      gems.each { |gem| require gem }
    end

    # @return [Symbol] for config.active_job.queue_adapter
    def adapter
      name.to_sym
    end

    # @param application [Rails::Application]
    def configure(application); end

    private

    # @return [String, nil]
    def checkout
      path = ENV.fetch("PEER_PATH", nil)
      File.expand_path(path) if path && File.exist?(File.join(path, "lib", "#{name}.rb"))
    end

    def checkout_version
      source = File.join(checkout, "lib", name, "version.rb")
      (File.exist?(source) && File.read(source)[/["'](\d[\w.]*)["']/, 1]) || "unknown"
    end

    # Outside of the bundle, as the measured process will look for it.
    def installed_version(gem)
      script = "puts Gem::Specification.find_by_name(ARGV.first).version"
      version = Bundler.with_unbundled_env { IO.popen([RbConfig.ruby, "-e", script, gem], err: File::NULL, &:read) }.chomp
      version unless version.empty?
    end
  end
end
