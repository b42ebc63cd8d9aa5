# frozen_string_literal: true

require "etc"
require "pg"
require_relative "../../spec/support/postgres"

module Bench
  # What a figure depends on beside the code that it measures.
  module Context
    # @return [Hash{Symbol => Object}]
    def self.to_h
      {
        ruby: RUBY_VERSION, rails: Gem.loaded_specs.fetch("railties").version.to_s, postgres: postgres, cpus: Etc.nprocessors,
        commit: commit, load: load_average
      }
    end

    def self.postgres
      Postgres.execute(Postgres.server_url, "SHOW server_version").first.fetch("server_version")[/\S+/]
    end

    # With a mark when the files are not those of the commit; nil where there is no git and nobody says. A lane has none: bin/lane says.
    def self.commit
      said = ENV.fetch("COMMIT", "")
      return said unless said.empty?

      described = IO.popen(%w[git describe --always --dirty --exclude=*], err: File::NULL, chdir: Project::ROOT, &:read).chomp
      described unless described.empty?
    rescue Errno::ENOENT
      nil
    end

    # What else ran on the machine, in the minute before.
    def self.load_average
      Float(File.read("/proc/loadavg")[/\S+/])
    rescue SystemCallError
      nil
    end

    private_class_method :postgres, :commit, :load_average
  end
end
