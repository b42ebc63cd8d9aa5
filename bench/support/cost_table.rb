# frozen_string_literal: true

module Bench
  # What the statements cost in several situations, as a table for a page in Markdown.
  class CostTable
    SHORT = [/\Aindex_good_job(?:s|_executions)_(?:on_)?/, /\Agood_(?:job_)?/].freeze

    # @param columns [Hash{String => Hash{String => StatementCosts::Cost}}] by situation and by what was run
    def initialize(columns)
      @columns = columns
    end

    # @return [String] pages and ms of each, the rows it answered with, and the indexes it walked in any of the situations
    def markdown
      titles = ["pages / ms", *@columns.keys, "rows", "indexes"]
      [line(titles), "|---|#{"---:|" * @columns.size}---:|---|", *labels.map { |label| line(row(label)) }].join("\n")
    end

    # @return [Array<StatementCosts::Cost>]
    def costs
      @columns.values.flat_map(&:values)
    end

    # @return [Array<String>]
    def labels
      @columns.values.first.keys
    end

    private

    def row(label)
      costs = @columns.values.map { |column| column.fetch(label) }
      cells = costs.map { |cost| "#{number(cost.pages)} / #{format(cost.ms < 10 ? "%.1f" : "%.0f", cost.ms)}" }
      ["`#{label[/\w+/]}`#{label[/,.*/]}", *cells, costs.map(&:rows).uniq.map { |rows| number(rows) }.join(", "), names(costs)]
    end

    def names(costs)
      costs.flat_map(&:indexes).uniq.sort.map { |index| SHORT.reduce(index) { |name, prefix| name.sub(prefix, "") } }.join(", ")
    end

    def number(value)
      value.to_s.gsub(/(?<=\d)(?=(?:\d{3})+\z)/, ",")
    end

    def line(cells)
      "| #{cells.join(" | ")} |"
    end
  end
end
