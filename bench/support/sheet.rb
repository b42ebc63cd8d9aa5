# frozen_string_literal: true

require_relative "goal"
require_relative "results"

module Bench
  # Results as a table for a page in Markdown.
  class Sheet
    # @param results [Results]
    def initialize(results)
      @results = results
    end

    # @return [String]
    def markdown
      rows = @results.figures.chunk_while { |one, next_one| one.label == next_one.label }.flat_map { |run| rows(run) }
      ["#{@results.context}.", "", "| run | figure | median | min – max | goal | |", "|---|---|---:|---:|---|---|", *rows].join("\n")
    end

    private

    def rows(run)
      run.each_with_index.map do |figure, place|
        spread = figure.spread&.map { |limit| number(limit) }&.join(" – ")
        cells = [place.zero? ? figure.label : "", "`#{figure.name}`", number(figure.median), spread, figure.goal, verdict(figure)]
        "| #{cells.join(" | ")} |"
      end
    end

    def number(value)
      value.to_s.sub(/\A\d+/) { |whole| whole.gsub(/(?<=\d)(?=(?:\d{3})+\z)/, ",") }
    end

    def verdict(figure)
      goal = Goal.parse(figure.goal.to_s) or return
      goal.met_by?(figure.median) ? "met" : "**missed**"
    end
  end
end
