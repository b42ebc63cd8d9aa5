# frozen_string_literal: true

require_relative "support/sources"

# The rules of ARCHITECTURE.md and CONTRIBUTING.md that a machine can check. Each message says what to do instead.
RSpec.describe "Tidiness" do
  def expect_none(offences, cure)
    expect(offences).to be_empty, "#{cure}\n  #{offences.join("\n  ")}"
  end

  describe "layers" do
    # From the lowest to the highest: a module names modules of its own layer and of those before it.
    layers = {
      words: %w[
        batches completion config due error event fleet frontier in_flight job ledger lock_strategy outcome pace pauses phase pool pulse
        queue_selector snapshot transition wait_queue
      ],
      postgres: %w[postgres],
      services: %w[services],
      runtime: %w[operation runtime]
    }
    rank = layers.values.each_with_index.flat_map { |modules, index| modules.map { |name| [name, index] } }.to_h

    # What a runtime is made from includes how to connect: of the layer above it, config.rs takes these values.
    exempt = /\Acrate::postgres::(?:connection::Session|conninfo::ConnInfo|sql::Tables)\b/

    def module_of(path)
      path.split("/")[3].delete_suffix(".rs")
    end

    it "puts every module of the core into one" do
      modules = Sources.paths("ext/core/src/**/*.rs").map { |path| module_of(path) }
      expect_none modules.uniq - rank.keys - ["lib"], "Say in spec/tidy_spec.rb to which layer these belong:"
    end

    it "keeps Rust's modules from naming what is above them" do
      upward = Sources.code("ext/core/src/**/*.rs", except: ["ext/core/src/lib.rs"]).select do |line|
        named = line.text.scan(/\bcrate::[\w:]+/)
        named.reject! { |path| path.match?(exempt) } if line.path.end_with?("/config.rs")
        named.any? { |path| rank.fetch(path[/crate::(\w+)/, 1], 0) > rank.fetch(module_of(line.path), 0) }
      end
      expect_none upward, "Hand it down as an argument, or move this up (runtime → services → postgres → words):"
    end

    it "keeps services from naming one another" do
      named = Sources.code_matching(/crate::services|\bsuper::\w/, "ext/core/src/services/*.rs", except: ["ext/core/src/services/mod.rs"])
      expect_none named, "Let services meet in the runtime, through channels:"
    end

    # A place under lib/good_job => the constants above it.
    {
      "outcome.rb" => %w[Run Worker Capsule Inline Adapter CLI],
      "run.rb" => %w[Worker Capsule Inline Adapter CLI],
      "worker.rb" => %w[Capsule Inline Adapter CLI],
      "capsule{.rb,/*.rb}" => %w[Adapter CLI],
      "{enqueuer,job_row}.rb" => %w[Run Worker Capsule Adapter CLI],
      "statements.rb" => %w[Run Worker Capsule Enqueuer Adapter CLI],
      "configuration{.rb,/*.rb}" => %w[Run Worker Capsule Enqueuer Adapter CLI],
      "records{.rb,/*.rb}" => %w[Run Worker Capsule Enqueuer Adapter CLI]
    }.each do |place, above|
      it "keeps lib/good_job/#{place} from naming #{above.join(", ")}" do
        used = /(?<![:\w"])(?:GoodJob::)?(?:#{above.join("|")})(?:\.|::)/
        expect_none Sources.code_matching(used, "lib/good_job/#{place}"),
                    "Pass in what is needed, or move this up (cli, railtie, adapter → capsule, enqueuer; capsule → worker → run → outcome):"
      end
    end

    it "lets nothing but the dashboard know the dashboard" do
      named = Sources.code_matching(/\bDashboard\b/, "lib/**/*.rb", except: %w[lib/good_job/dashboard/**/* lib/good_job/engine.rb])
      expect_none named, "Turn the dependency round: the dashboard uses records and operations, nothing uses it:"
    end
  end

  describe "places" do
    it "keeps statements in .sql files" do
      change = /\b(?:INSERT\s+INTO|UPDATE\s+[\w"{]+\s+(?:AS\s+\w+\s+)?SET|DELETE\s+FROM)\b/
      written = Sources.code_matching(change, "lib/**/*.rb", "ext/**/*.rs", except: %w[ext/core/{tests,benches}/**/* lib/generators/**/*])
      expect_none written, "Put the statement into ext/core/sql, one file each, and run it by its name:"
    end

    it "lets only store.rs choose statements in Rust" do
      named = Sources.code_matching(/\bStatement::/, "ext/**/*.rs", except: ["ext/core/src/postgres/{sql,store}.rs"])
      expect_none named, "Add a method to store.rs, with typed arguments, and call that:"
    end

    it "lets only statements.rb run SQL in Ruby" do
      running = /\b(?:exec_query|exec_params|exec_update|select_(?:value|values|all|rows|one)|find_by_sql|connection\.execute)\b/
      run = Sources.code_matching(running, "lib/**/*.rb", except: %w[lib/good_job/statements.rb lib/generators/**/*])
      expect_none run, "Put the statement into ext/core/sql and run it with Statements.run:"
    end

    it "heads every statement with what it does, who runs it and what its parameters are" do
      headless = Sources.paths("ext/core/sql/*.sql").reject do |path|
        header, body = Sources.read(path).lines.partition { |line| line.start_with?("--") }.map(&:join)
        named = body.scan(/\$\d+/).uniq.all? { |parameter| header.match?(/#{Regexp.escape(parameter)}\b|as in \w+\.sql/) }
        header.start_with?("-- What:") && header.include?("\n-- Who:") && named
      end
      expect_none headless, "Begin with `-- What:` and `-- Who:`, and name every parameter with its type and unit:"
    end

    it "runs every statement from somewhere" do
      registered = Sources.read("ext/core/src/postgres/sql.rs")
      unused = Sources.paths("ext/core/sql/*.sql").reject { |path| registered.match?(/\b#{File.basename(path, ".sql")}\b/) }
      expect_none unused, "List the statement in sql.rs, or delete it:"
    end

    it "keeps `unsafe` in gvl.rs, and what fork needs of descriptors in fork.rs" do
      used = Sources.code_matching(/\bunsafe\b(?!_code)/, "ext/**/*.rs", except: ["ext/src/{gvl,fork}.rs"])
      expect_none used, "Find a safe form, or move this into gvl.rs with the reason why it is sound:"
      expect(Sources.read("ext/core/src/lib.rs")).to include "#![forbid(unsafe_code)]"
    end

    it "releases Ruby's lock in gvl.rs only, and by rb_nogvl" do
      elsewhere = Sources.code_matching(/\brb_nogvl\b/, "ext/**/*.rs", except: ["ext/src/gvl.rs"])
      unsafely = Sources.code_matching(/rb_thread_call_without_gvl/, "ext/**/*.rs")
      expect_none elsewhere + unsafely, "Use gvl.rs: rb_thread_call_without_gvl may jump over Rust's frames and leak what they own:"
    end

    it "keeps Ruby out of the core" do
      named = Sources.code_matching(/\b(?:magnus|rb_sys|rb-sys)\b/, "ext/core/**/*.{rs,toml}")
      expect_none named, "Turn Ruby's values into plain ones in ext/src, and hand those to the core:"
    end

    it "names the native module in few files" do
      allowed = %w[lib/good_job/{native,statements}.rb lib/good_job/{configuration,capsule,inline}{.rb,/**/*.rb}]
      named = Sources.code_matching(/\bNative\b/, "lib/**/*.rb", except: allowed)
      expect_none named, "Go through one of #{allowed.join(", ")}:"
    end
  end

  describe "documents" do
    it "documents every native function in native.rb, and no other" do
      registered = Sources.read("ext/src/lib.rs").scan(/define_(singleton_)?method\("(\w+)"/).map do |singleton, name|
        name == "new" ? "initialize" : "#{"self." if singleton}#{name}"
      end
      documented = Sources.read("lib/good_job/native.rb").scan(/@!method ((?:self\.)?\w+)/).flatten
      expect_none registered - documented, "Describe these in lib/good_job/native.rb with @!method:"
      expect_none documented - registered, "There are no such functions any more; remove them from lib/good_job/native.rb:"
    end

    it "finds every file that ARCHITECTURE.md names" do
      all = Sources.paths("**/*")
      named = Sources.read("ARCHITECTURE.md").scan(%r{[\w/.-]+\.(?:rb|rs|sql|rake|toml|gemspec|md)\b}).uniq
      missing = named.reject { |name| all.any? { |path| path == name || path.end_with?("/#{name}") } }
      expect_none missing, "Bring the map in ARCHITECTURE.md up to date:"
    end

    it "gives a reason for every dependency" do
      crates = Sources.paths("ext/**/Cargo.toml").flat_map do |path|
        Sources.read(path)[/^\[dependencies\].*/m].scan(/^([\w-]+) = (?!\{ path)/).flatten
      end
      gems = Sources.read("good_job_rs.gemspec").scan(/add_dependency "([\w-]+)"/).flatten
      text = Sources.read("docs/dependencies.md")
      unexplained = (crates + gems).uniq.reject { |name| text.include?("`#{name}`") }
      expect_none unexplained, "Say in docs/dependencies.md why these and not their rivals:"
    end

    it "gives the gem and the crates one version" do
      crates = Sources.read("Cargo.toml")[/^version = "(.+)"/, 1]
      gem = Sources.read("lib/good_job/version.rb")[/VERSION = "(.+)"/, 1]
      expect(crates).to eq(gem), "Set one version in Cargo.toml and lib/good_job/version.rb; they have #{crates} and #{gem}."
    end
  end

  describe "left-overs" do
    this_file = "spec/tidy_spec.rb"

    it "has none" do
      left = Sources.lines("{bench,bin,exe,examples,ext,lib,rakelib,spec}/**/*", except: [this_file]).select do |line|
        line.text.match?(/\bFIXME\b|\bXXX\b|\bdbg!|\bbinding\.(?:irb|pry|b)\b|^\s*debugger\b/)
      end
      expect_none left, "Finish it, or open an issue and name what is missing in a sentence:"
    end

    it "sleeps nowhere in the specs but in wait_until" do
      asleep = Sources.code_matching(/(?<![\w."'])sleep\b(?!["':])/, "spec/**/*.rb", except: ["spec/support/wait_until.rb", this_file])
      expect_none asleep, "Wait for what happens, with wait_until or a queue; a fixed time is too long here and too short there:"
    end

    it "names no path of this machine and no gem server" do
      here = Regexp.union(Project::ROOT.to_s, "#{Dir.home}/", /rubygems\.org|crates\.io|deb\.debian\.org/)
      named = Sources.lines("**/*", except: ["Cargo.lock", this_file]).select { |line| line.text.match?(here) }
      expect_none named, "Take it from the machine's own settings:"
    end
  end

  describe "tokio" do
    it "has no feature whose state outlives a fork" do
      command = %w[cargo tree --locked --workspace --edges features,no-dev --invert tokio]
      tree = IO.popen(command, chdir: Project::ROOT, &:read)
      expect(tree).to include "tokio feature \"net\""
      expect_none tree.scan(/tokio feature "(?:signal|process|full)"/).uniq,
                  "Leave these out; their state belongs to the process and is wrong in a forked one:"
    end
  end

  # Reported, not held against anyone: what is over a guide's length is asked what its second noun is.
  after(:context) do
    long = Sources.paths("ext/**/*.rs", "lib/**/*.rb").to_h { |path| [path, Sources.read(path).lines.size] }
    long.select! { |path, length| length > (path.end_with?(".rs") ? 400 : 200) }
    long.merge!(Sources.long_functions("ext/**/*.rs", /(?:[\w()" ]+ )?fn (?<name>\w+)/, "}", over: 70))
    long.merge!(Sources.long_functions("lib/**/*.rb", /def (?<name>[\w.?!=]+)/, "end", over: 25))
    report = long.map { |name, length| "  #{name} (#{length} lines)" }
    RSpec.configuration.reporter.message(["", "Has one of these a second noun?", *report].join("\n")) if report.any?
  end
end
