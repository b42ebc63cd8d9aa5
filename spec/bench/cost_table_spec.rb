# frozen_string_literal: true

require_relative "../../bench/support/cost_table"
require_relative "../../bench/support/statement_costs"

RSpec.describe Bench::CostTable do
  def cost(...)
    Bench::StatementCosts::Cost.new(...)
  end

  let(:table) do
    described_class.new(
      "few" => { "claim_jobs" => cost(90, 1.24, 100, %w[good_jobs_pkey]), "insert_jobs, 1 job" => cost(9, 0.1, 1, []) },
      "many" => { "claim_jobs" => cost(12_345, 37.6, 99, %w[index_good_jobs_for_claim]), "insert_jobs, 1 job" => cost(9, 0.1, 1, []) }
    )
  end

  it "has a line for each statement and a column for each situation, and says once what is the same in all" do
    expect(table.markdown).to eq <<~MARKDOWN.chomp
      | pages / ms | few | many | rows | indexes |
      |---|---:|---:|---:|---|
      | `claim_jobs` | 90 / 1.2 | 12,345 / 38 | 100, 99 | jobs_pkey, for_claim |
      | `insert_jobs`, 1 job | 9 / 0.1 | 9 / 0.1 | 1 |  |
    MARKDOWN
  end
end
