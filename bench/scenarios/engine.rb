# frozen_string_literal: true

require "bundler"
require_relative "../support/scenario"

module Bench
  # The runtime without Ruby: jobs that do nothing, in threads of a Rust process; beside the floor, which is its claim and finish
  # statements run back to back on one connection. The measuring is done in ext/core/benches/engine.rs.
  class Engine < Scenario
    summary "drain ready no-op jobs by the Rust runtime alone; jobs/s, and their ratio to its statements run back to back"
    option :threads, 5, "threads that take jobs"
    option :jobs, 200_000, "jobs to drain", quick: 2_000
    option :repeats, 5, "turns of floor and runtime", quick: 1
    goals ratio_to_floor: "≥ 0.80"

    # Another one measures nothing, and may be built already: dev is what the Rust tests are built with.
    PROFILE = ENV.fetch("ENGINE_PROFILE", "bench")
    COMMAND = %W[cargo bench --quiet --locked --profile #{PROFILE} --package good_job_core --bench engine --].freeze

    private

    def measure
      Interleaving.run(options[:repeats]) do
        figures = JSON.parse(engine, symbolize_names: true)
        { **figures, ratio_to_floor: figures.fetch(:jobs_per_second) / figures.fetch(:floor_per_second) }
      end
    end

    # @return [String] the line of JSON
    def engine
      arguments = %i[jobs threads].flat_map { |name| ["--#{name}", options.fetch(name).to_s] }
      # Without Bundler's environment: rb-sys would build everything again whenever it came or went.
      output = Bundler.with_unbundled_env do
        IO.popen({ "DATABASE_URL" => Postgres.server_url }, [*COMMAND, *arguments], chdir: Project::ROOT, &:read)
      end
      raise Incorrect, "the engine's benchmark failed; what it said is above" unless Process.last_status.success?

      output.lines.last
    end
  end
end
