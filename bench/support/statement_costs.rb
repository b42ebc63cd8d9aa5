# frozen_string_literal: true

require "digest"
require "json"
require "pg"
require "good_job/native"
require_relative "inside/claim"
require_relative "situation"

module Bench
  # What each of the queue's statements costs in a situation, as Postgres counts it: run with EXPLAIN ANALYZE, and taken back.
  class StatementCosts
    # One way to run a statement: on whose session, with which parameters, and how many rows it has to answer with, where that is known.
    Run = Struct.new(:label, :statement, :application, :params, :rows)
    # @!attribute pages
    #   @return [Integer] found in shared buffers or read into them
    # @!attribute indexes
    #   @return [Array<String>] those that were walked, and the tables that were read from end to end
    Cost = Struct.new(:pages, :ms, :rows, :indexes)

    FILES = File.expand_path("../../ext/core/sql/*.sql", __dir__)
    # Are parts of others.
    PARTS = %w[lease_candidates interruptions_before].freeze
    LIMIT = 100
    QUEUES = %w[mice elephants].freeze
    PRIORITIES = [0, 7].freeze
    TABLES = {
      "{jobs}" => "good_jobs", "{executions}" => "good_job_executions", "{processes}" => "good_job_processes",
      "{batches}" => "good_job_batches", "{settings}" => "good_job_settings"
    }.freeze

    # @param url [String] of a database that a {Situation} has filled
    def initialize(url)
      @runtime = PG.connect(url).tap { |connection| connection.exec(Inside::Claim::SESSION) }
      @application = PG.connect(url).tap { |connection| connection.exec("SET TimeZone TO 'UTC'") }
    end

    # @return [Hash{String => Cost}] by what was run
    def all
      runs.to_h { |run| [run.label, cost(run)] }
    end

    # Runs the statements that nobody has chosen parameters for with none but NULL: they work, though their cost says nothing.
    # @return [Array<String>] their names
    def try_others
      others = Dir[FILES].map { |file| File.basename(file, ".sql") } - PARTS - runs.map(&:statement)
      others.sort.each do |statement|
        run = Run.new(statement, statement, true, [])
        prepare(run)
        explain(run, "ANALYZE")
      end
    end

    # @return [String] the whole plan, as Postgres tells it
    def text(label)
      run = runs.find { |candidate| candidate.label == label }
      explain(run, "ANALYZE, BUFFERS").column_values(0).join("\n")
    end

    def close
      [@runtime, @application].each(&:close)
    end

    private

    def cost(run)
      prepare(run)
      # The first time it is planned, and what it reads is fetched.
      explain(run, "ANALYZE")
      plan = JSON.parse(explain(run, "ANALYZE, BUFFERS, FORMAT JSON").getvalue(0, 0)).first
      top = plan.fetch("Plan")
      rows = top.fetch("Actual Rows").to_i
      raise Incorrect, "#{run.label} has #{rows} rows, not #{run.rows}" if run.rows && rows != run.rows

      Cost.new(pages(top), plan.fetch("Execution Time"), rows, indexes(top).uniq.sort)
    end

    # What a CTE writes that nothing reads happens after the plan proper, and is not in its sum.
    def pages(top)
      nodes = nodes(top)
      read = nodes.filter_map { |node| node["CTE Name"] }
      afterwards = nodes.select { |node| node["Subplan Name"]&.start_with?("CTE ") && !read.include?(node["Subplan Name"].delete_prefix("CTE ")) }
      [top, *afterwards].sum { |node| node.fetch("Shared Hit Blocks") + node.fetch("Shared Read Blocks") }
    end

    def indexes(top)
      executed = nodes(top).select { |node| node.fetch("Actual Loops").positive? }
      executed.filter_map { |node| node["Index Name"] || ("all of #{node["Relation Name"]}" if node["Node Type"] == "Seq Scan") }
    end

    def nodes(node)
      [node, *node.fetch("Plans", []).flat_map { |child| nodes(child) }]
    end

    def explain(run, options)
      connection = connection(run)
      connection.exec("BEGIN")
      connection.exec("EXECUTE hold_job#{arguments(connection, run)}") if run.statement == "let_go_of_job"
      connection.exec("EXPLAIN (#{options}) EXECUTE #{run.statement}#{arguments(connection, run)}")
    ensure
      connection.exec("ROLLBACK")
      connection.exec("SELECT pg_advisory_unlock_all()")
    end

    def prepare(run)
      return if prepared.key?(run.statement)

      text = TABLES.reduce(GoodJob::Native.statement(run.statement)) { |sql, (placeholder, table)| sql.gsub(placeholder, table) }
      connection(run).exec("PREPARE #{run.statement} AS #{text}")
      prepared[run.statement] = text.gsub(/^--.*/, "").scan(/\$(\d+)/).flatten.map { |number| Integer(number) }.max || 0
    end

    # @return [Hash{String => Integer}] how many parameters each has
    def prepared
      @prepared ||= {}
    end

    def connection(run)
      run.application ? @application : @runtime
    end

    # Those that a run does not name are NULL.
    def arguments(connection, run)
      count = prepared.fetch(run.statement)
      return if count.zero?

      literals = Array.new(count) { |place| literal(connection, run.params[place]) }
      "(#{literals.join(", ")})"
    end

    def literal(connection, value)
      value = PG::TextEncoder::Array.new.encode(value.map { |element| element&.to_s }) if value.is_a?(Array)
      value.nil? ? "NULL" : connection.escape_literal(value.to_s)
    end

    def runs
      @runs ||= [*enqueueing, *claiming, *inline, *ending, *living]
    end

    def enqueueing
      now = time("0")
      one = [id("new", 1), "mice", 0, Situation::PARAMS, nil, now, "UTC", "PlainJob", *([nil] * 6), true, nil]
      [
        Run.new("insert_job", "insert_job", true, one, 1),
        Run.new("insert_jobs, 1 job", "insert_jobs", true, many(1, now), 1),
        Run.new("insert_jobs, 1,000 jobs", "insert_jobs", true, many(1_000, now), 1)
      ]
    end

    def many(count, now)
      ids = ids("new", count)
      each = ->(value) { [value] * count }
      [now, "UTC", ids, each["mice"], each[0], each[Situation::PARAMS], nil, each["PlainJob"], *([nil] * 6), each[true]]
    end

    # Onward from the middle of what is ready.
    def claiming
      by = [Situation::OWN, LIMIT, LIMIT]
      behind = ->(lanes) { [[time("-30 min")] * lanes, [id("none", 0)] * lanes] }
      lanes = QUEUES.product(PRIORITIES).transpose
      [
        run("claim_jobs", [*by, nil, nil]),
        run("claim_jobs_onward", [*by, nil, nil, PRIORITIES, *behind[2]]),
        run("claim_jobs_by_queue", [*by, QUEUES]),
        run("claim_jobs_by_queue_onward", [*by, *lanes, *behind[4]]),
        run("next_due", [time("-1 s")]),
        run("recover_claims", [Situation::OWN, 0, [], [], nil], LIMIT)
      ]
    end

    def inline
      key = "good_jobs-#{id("own", 1)}"
      finish = [id("own", 1), Situation::OWN, time("0"), 1_000, "finish", nil, nil, nil, true, *([nil] * 6)]
      [
        Run.new("claim_inline", "claim_inline", true, [Situation::OWN, time("0"), nil, nil, nil, false, nil, nil, nil, "good_jobs-"], 1),
        Run.new("claim_job", "claim_job", true, [Situation::OWN, time("0"), id("ready", 1), 1, nil, false, "good_jobs-"], 1),
        Run.new("finish_inline", "finish_inline", true, finish, 1),
        Run.new("hold_job", "hold_job", true, [key], 1),
        Run.new("let_go_of_job", "let_go_of_job", true, [key], 1)
      ]
    end

    def ending
      leases = [Situation::OWN, own, tokens]
      run_columns = [*leases, ids("run", LIMIT), each(time("-1 s")), each(time("0")), each(1_000), each(1)]
      ended = [*run_columns, each(nil), each(nil), each(nil)]
      again = [each(Situation::PARAMS), each(time("3 s")), each("mice"), each(0), each(nil), each(true)]
      [
        run("stamp_jobs", [*leases, each(time("0")), each(1)], LIMIT),
        run("finish_jobs", ended, LIMIT),
        run("retry_jobs", [*ended, *again], LIMIT),
        run("interrupt_jobs", [*run_columns, 10], LIMIT),
        run("release_jobs", [*leases, each(nil), each(0), each(false)], LIMIT),
        run("delete_jobs", [*leases, each(false)], LIMIT),
        run("stored_executions", [ids("run", LIMIT), own], 0)
      ]
    end

    def living
      key = "good_job_processes-#{Situation::OWN}"
      rescuing = [Situation::OWN, 5_000_000, 20_000_000, "good_job_processes-", "good_jobs-", 10]
      [
        run("register_process", [Situation::OWN, "{}", key], 1),
        run("deregister_process", [Situation::OWN]),
        run("rescue_jobs", rescuing, Situation::CLAIMED),
        run("check_schema", [TABLES.values], 0)
      ]
    end

    def run(statement, params, rows = nil)
      Run.new(statement, statement, false, params, rows)
    end

    def each(value)
      [value] * LIMIT
    end

    def own
      ids("own", LIMIT)
    end

    def tokens
      @runtime.exec("SELECT locked_at FROM good_jobs WHERE locked_by_id = '#{Situation::OWN}' LIMIT #{LIMIT}").column_values(0)
    end

    def ids(kind, count)
      (1..count).map { |number| id(kind, number) }
    end

    # As {Situation} makes them.
    def id(kind, number)
      Digest::MD5.hexdigest("#{kind}#{number}")
    end

    def time(offset)
      @runtime.exec("SELECT LOCALTIMESTAMP + interval '#{offset}'").getvalue(0, 0)
    end
  end
end
