# frozen_string_literal: true

require_relative "peer"

module Bench
  # What `bin/bench all --json FILE` wrote, figure by figure, with what the scenarios want of each.
  class Results
    # One figure of one run: which run, its name, numbers, and the scenario's goal as text. Some have no spread, and some no goal.
    Figure = Struct.new(:label, :name, :median, :spread, :goal)

    # @param results [Array<Hash>] see {Report#to_h}
    # @param scenarios [Array<Class>] which know the goals
    def initialize(results, scenarios)
      @results = results
      @scenarios = scenarios.to_h { |scenario| [scenario.scenario_name, scenario] }
    end

    # @return [Array<Figure>]
    def figures
      @results.flat_map do |result|
        scenario = scenario_of(result)
        label = label(scenario, result)
        result.fetch(:figures).map { |name, median| Figure.new(label, name, median, result.dig(:spread, name), scenario&.goals&.fetch(name, nil)) }
      end
    end

    # @return [String] on what it was measured
    def context
      about = format("Ruby %<ruby>s, Rails %<rails>s, PostgreSQL %<postgres>s, %<cpus>d CPUs, commit %<commit>s", @results.first.fetch(:context))
      usual? ? about : "#{about}; in other sizes than usual"
    end

    private

    # @return [Scenario, nil] nil: there is none of that name any more
    def scenario_of(result)
      peer = result.dig(:peer_setup, :adapter)
      @scenarios[result.fetch(:scenario)]&.new(result.fetch(:options), peer: peer && Peer.find(peer))
    end

    # The scenario, those of its options in which its runs differ, and the commit if it is not the first one's.
    def label(scenario, result)
      beside = " beside #{scenario.peer.name}" if scenario&.peer
      apart = result.fetch(:options).slice(*varied(result.fetch(:scenario)))
      commit = result.dig(:context, :commit)
      other = "commit #{commit}" if commit != @results.first.dig(:context, :commit)
      ["#{result.fetch(:scenario)}#{beside}", *apart.map { |name, value| "#{name} #{value}" }, *other].join(", ")
    end

    # @return [Array<Symbol>] names of options
    def varied(scenario)
      runs = @results.select { |result| result.fetch(:scenario) == scenario }.map { |result| result.fetch(:options) }
      runs.first.keys.reject { |name| runs.map { |options| options[name] }.uniq.one? }
    end

    # @return [Boolean] whether the runs are those of `all`, and not quick ones or somebody's own
    def usual?
      known = @results.filter_map { |result| (scenario = @scenarios[result.fetch(:scenario)]) && [scenario, result.fetch(:options)] }
      known.all? do |scenario, options|
        defaults = scenario.options.transform_values(&:default)
        scenario.variants.any? { |variant| defaults.merge(variant) == options }
      end
    end
  end
end
