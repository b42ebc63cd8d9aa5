# frozen_string_literal: true

require "erb"
require_relative "goal"
require_relative "results"

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

    # @param results [Results]
    def initialize(results)
      @results = results
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
        #{text(0, 16, @results.context, "quiet")}
        #{body.join("\n")}
        </svg>
      SVG
    end

    private

    # @return [Array<Row>]
    def rows
      @results.figures.filter_map do |figure|
        goal = Goal.parse(figure.goal.to_s)
        Row.new("#{figure.label}: #{figure.name}", figure.median, goal) if goal
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
      "<text #{attributes.map { |name, value| %(#{name}="#{value}") }.join(" ")}>#{ERB::Util.html_escape(content)}</text>"
    end
  end
end
