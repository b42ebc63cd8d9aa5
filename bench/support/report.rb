# frozen_string_literal: true

require "json"
require_relative "statistics"

module Bench
  # The result of one run: a table for people, one line of JSON for machines.
  class Report
    SIGNIFICANT_DIGITS = 4
    PEER = "peer_"

    # @param scenario [Scenario]
    # @param figures [Hash{Symbol => Series, Numeric}]
    # @param context [Hash]
    def initialize(scenario, figures, context)
      @scenario = scenario
      @figures = figures
      @context = context
    end

    # @return [String]
    def table
      width = @figures.keys.map(&:length).max
      rows = @figures.map { |name, figure| row(name, figure, width) }
      [title, format("  %#{width}s %12s %12s %12s", "", "median", "min", "max"), *rows].join("\n")
    end

    # @return [Hash]
    def to_h
      series = @figures.select { |_name, figure| figure.is_a?(Series) }
      medians = @figures.transform_values { |figure| rounded(middle(figure)) }
      of_peer, ours = medians.partition { |name, _figure| name.start_with?(PEER) }.map(&:to_h)
      {
        scenario: @scenario.class.scenario_name, adapter: @scenario.queue.name, options: @scenario.options,
        figures: ours,
        spread: series.transform_values { |figure| [rounded(figure.min), rounded(figure.max)] },
        **peer(of_peer),
        context: @context
      }
    end

    private

    # @return [Hash] the figures of the other queue under the names that ours have, and how it was set up
    def peer(figures)
      peer = @scenario.peer
      return {} unless peer

      { peer: figures.transform_keys { |name| name.to_s.delete_prefix(PEER).to_sym },
        peer_setup: { adapter: peer.name, version: peer.version, **peer.settings } }
    end

    def title
      options = @scenario.options.map { |name, value| "#{name} #{value}" }.join(", ")
      context = format("Ruby %<ruby>s, Rails %<rails>s, PostgreSQL %<postgres>s, %<cpus>d CPUs, load %<load>s", @context)
      ["#{@scenario.class.scenario_name} of #{@scenario.queue.name}: #{options}", *peer_title, context].join("\n")
    end

    def peer_title
      peer = @scenario.peer
      settings = peer&.settings&.map { |name, value| "#{name} #{value}" }
      ["beside #{peer.name} #{peer.version}: #{settings.join(", ")}"] if peer
    end

    def row(name, figure, width)
      numbers = figure.is_a?(Series) ? [figure.median, figure.min, figure.max] : [figure]
      goal = @scenario.goals[name]
      line = format("  %-#{width}s", name) + numbers.map { |number| format(" %12s", readable(number)) }.join
      goal ? "#{line.ljust(width + 42)}  goal: #{goal}" : line
    end

    def middle(figure)
      figure.is_a?(Series) ? figure.median : figure
    end

    def rounded(number)
      return number if number.is_a?(Integer) || number.zero?

      number.round(SIGNIFICANT_DIGITS - 1 - Math.log10(number.abs).floor)
    end

    def readable(number)
      rounded(number).to_s.sub(/\A\d+/) { |whole| whole.gsub(/(?<=\d)(?=(?:\d{3})+\z)/, ",") }
    end
  end
end
