# frozen_string_literal: true

require "cgi"
require_relative "goal"

module Bench
  # Results against their goals, as an SVG: a bar for each figure that has a limit, in parts of that limit, so that one line is the goal
  # of all. Above are the bars that should reach it, below those that should not go beyond.
  class Plot
    WIDTH = 1100
    LABELS = 500
    BARS = 360
    ROW = 26
    BAR = 14
    HEADING = 44
    # A bar ends here, in parts of the goal, however much longer it would be: its number is beside it.
    LONGEST = 1.5

    STYLE = <<~CSS
      text { font: 13px system-ui, sans-serif; fill: #1f2328 }
      .heading { font-weight: 600 } .quiet { fill: #59636e } .label { text-anchor: end }
      .met { fill: #2f7d5b } .missed { fill: #b3541e } .goal { stroke: #59636e; stroke-dasharray: 4 3 }
      @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3 } .quiet { fill: #9da7b1 } .goal { stroke: #9da7b1 }
        .met { fill: #55a884 } .missed { fill: #e08a4f }
      }
    CSS

    Row = Struct.new(:label, :value, :goal)

    # @param results [Array<Hash>] see {Report#to_h}
    # @param scenarios [Array<Class>] which know the goals
    def initialize(results, scenarios)
      @results = results
      @scenarios = scenarios.to_h { |scenario| [scenario.scenario_name, scenario] }
    end

    # @return [String]
    def svg
      floors, ceilings = rows.partition { |row| row.goal.floor? }
      @y = HEADING
      body = [*group("should reach the line", floors), *group("should not go beyond the line", ceilings)]
      <<~SVG
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 #{WIDTH} #{@y}" role="img">
        <title>Figures of the benchmarks against their goals</title>
        <style>
        #{STYLE}</style>
        #{text(0, 16, context, "quiet")}
        #{body.join("\n")}
        </svg>
      SVG
    end

    private

    # @return [Array<Row>]
    def rows
      @results.flat_map do |result|
        scenario = scenario_of(result)
        result.fetch(:figures).filter_map do |name, value|
          goal = scenario && Goal.parse(scenario.goals.fetch(name, ""))
          Row.new("#{label(scenario, result)}: #{name}", value, goal) if goal
        end
      end
    end

    # @return [Scenario, nil] nil: there is none of that name any more
    def scenario_of(result)
      peer = result.dig(:peer_setup, :adapter)
      @scenarios[result.fetch(:scenario)]&.new(result.fetch(:options), peer: peer && Peer.find(peer))
    end

    # The scenario, and those of its options in which its runs differ.
    def label(scenario, result)
      beside = " beside #{scenario.peer.name}" if scenario.peer
      apart = result.fetch(:options).slice(*varied(result.fetch(:scenario)))
      ["#{result.fetch(:scenario)}#{beside}", *apart.map { |name, value| "#{name} #{value}" }].join(", ")
    end

    # @return [Array<Symbol>] names of options
    def varied(scenario)
      runs = @results.select { |result| result.fetch(:scenario) == scenario }.map { |result| result.fetch(:options) }
      runs.first.keys.reject { |name| runs.map { |options| options[name] }.uniq.one? }
    end

    def context
      about = format("Ruby %<ruby>s, Rails %<rails>s, PostgreSQL %<postgres>s, %<cpus>d CPUs, commit %<commit>s", @results.first.fetch(:context))
      usual? ? about : "#{about}; in other sizes than usual"
    end

    # @return [Boolean] whether the runs are those of `all`, and not quick ones or somebody's own
    def usual?
      known = @results.filter_map { |result| (scenario = @scenarios[result.fetch(:scenario)]) && [scenario, result.fetch(:options)] }
      known.all? do |scenario, options|
        defaults = scenario.options.transform_values(&:default)
        scenario.variants.any? { |variant| defaults.merge(variant) == options }
      end
    end

    def group(heading, rows)
      return [] if rows.empty?

      top = @y
      @y += HEADING + (rows.size * ROW)
      goal_x = LABELS + (BARS / LONGEST)
      [text(goal_x - 4, top + 16, heading, "heading", anchor: "middle"),
       %(<line class="goal" x1="#{goal_x}" x2="#{goal_x}" y1="#{top + 24}" y2="#{@y - HEADING + 28}"/>),
       *rows.each_with_index.map { |row, index| bar(row, top + 28 + (index * ROW)) }]
    end

    def bar(row, top)
      length = row.goal.share(row.value).clamp(0.0, LONGEST) * BARS / LONGEST
      verdict = row.goal.met_by?(row.value) ? "met" : "missed"
      [text(LABELS - 10, top + BAR - 2, row.label, "label"),
       %(<rect class="#{verdict}" x="#{LABELS}" y="#{top}" width="#{length.round(1)}" height="#{BAR}" rx="2"/>),
       text(LABELS + BARS + 10, top + BAR - 2, "#{row.value} (goal #{row.goal.text}, #{verdict})")].join("\n")
    end

    def text(left, baseline, content, style = nil, anchor: nil)
      attributes = { class: style, x: left.round(1), y: baseline, "text-anchor": anchor }.compact
      "<text #{attributes.map { |name, value| %(#{name}="#{value}") }.join(" ")}>#{CGI.escapeHTML(content)}</text>"
    end
  end
end
