# frozen_string_literal: true

require_relative "../support/cost_table"
require_relative "../support/scenario"
require_relative "../support/situation"
require_relative "../support/statement_costs"

module Bench
  # What the queue's statements cost Postgres where there is much that they should not read. Prints the table of docs/sql.md.
  class Plans < Scenario
    # Whose plans are shown as a whole, with a great many jobs ready.
    SHOWN = %w[claim_jobs claim_jobs_onward finish_jobs].freeze
    BESIDE = 1_000

    summary "every statement under EXPLAIN, in tables of five kinds: pages, ms, rows and indexes, in Markdown; and three plans"
    option :few, 10_000, "ready jobs in the first kind", quick: 400
    option :ready, 1_000_000, "ready jobs in the second", quick: 2_000
    option :future, 1_000_000, "future jobs, beside a thousand ready ones", quick: 2_000
    option :finished, 10_000_000, "finished jobs, likewise", quick: 2_000
    option :held, 100_000, "jobs claimed and finished behind a held snapshot, likewise", quick: 2_000

    private

    def measure
      table = CostTable.new(situations.to_h { |situation| [situation.title, costs(situation)] })
      puts table.markdown, "", *@shown
      puts "Run with NULLs only, since bench/support/statement_costs.rb has no parameters for them: #{@others.join(", ")}", "" if @others.any?
      { statements: table.labels.size, pages_max: table.costs.map(&:pages).max, ms_max: table.costs.map(&:ms).max }
    end

    def situations
      [
        Situation.new(title: title(:few, "ready"), ready: options[:few]),
        @great = Situation.new(title: title(:ready, "ready"), ready: options[:ready]),
        Situation.new(title: title(:future, "future"), ready: BESIDE, future: options[:future]),
        Situation.new(title: title(:finished, "finished"), ready: BESIDE, finished: options[:finished]),
        Situation.new(title: title(:held, "ended, snapshot held"), ready: BESIDE, held: options[:held])
      ]
    end

    def title(option, what)
      "#{options[option].to_s.gsub(/(?<=\d)(?=(?:\d{3})+\z)/, ",")} #{what}"
    end

    def costs(situation)
      situation.fill(@database.url) do |url|
        statements = StatementCosts.new(url)
        costs = statements.all
        @others = statements.try_others
        @shown = SHOWN.map { |label| "#{label}, #{situation.title}:\n\n#{statements.text(label)}\n\n" } if situation == @great
        costs
      ensure
        statements&.close
      end
    end
  end
end
