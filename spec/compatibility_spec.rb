# frozen_string_literal: true

require "good_job"
require_relative "support/sources"

# docs/compatibility.md names an example for each thing that GoodJob has in public. That the example proves it, a reader judges; that it is
# there, and that nothing is left out of the page unnoticed, a machine can check.
RSpec.describe "The page on compatibility" do
  # A row of a table: what it is about, the section it is in, and the proof in its last cell.
  entry = Struct.new(:section, :subject, :proof) do
    def to_s
      subject
    end

    # @return [Array<Array(String, String)>] of each quoted example, the file's name and the sentence
    def examples
      proof.scan(/\[(\w+)\]((?:,? "(?:[^"\\]|\\.)+")+)/).flat_map do |name, sentences|
        sentences.scan(/"((?:[^"\\]|\\.)+)"/).map { |(sentence)| [name, sentence] }
      end
    end

    def state
      return "missing" if proof.start_with?("missing")
      return "no spec yet" if proof.include?("no spec yet")

      "proven" if examples.any?
    end

    def differs?
      proof.start_with?("differs")
    end
  end

  text = Sources.read("docs/compatibility.md")
  files = text.scan(/^\[(\w+)\]: (\S+)$/).to_h.transform_values { |path| File.expand_path(path, "/docs").delete_prefix("/") }
  tables, count = text.split(/^## Count$/)
  entries = tables.split(/^## /).flat_map do |section|
    rows = section.scan(/^\| (.+) \|$/).flatten.map { |row| row.split(/ *\| */) }
    rows.reject { |cells| cells.last == "proof" }.map { |cells| entry.new(section.lines.first.chomp, cells[0..-2].join(" "), cells.last) }
  end

  def expect_none(offences, cure)
    expect(offences).to be_empty, "#{cure}\n  #{offences.join("\n  ")}"
  end

  # Whether the file has an example of this name, or in Rust a test; of a name that ends in "…", one example that begins so.
  def example?(path, sentence)
    text = Sources.read(path)
    return text.match?(/#\[(?:tokio::)?test\]\s+(?:async )?fn #{Regexp.escape(sentence)}\(/) if path.end_with?(".rs")

    whole = !sentence.end_with?("…")
    names = [sentence, sentence.gsub("\\\"", "\"")].map { |name| Regexp.escape(name.delete_suffix("…")) }.join("|")
    found = text.scan(/^\s*(?:it|describe|context|RSpec\.describe) "(?:#{names})#{'"' if whole}/)
    whole ? found.any? : found.one?
  end

  it "has entries" do
    expect(entries.size).to be > 300
    expect(entries.map(&:section).uniq.size).to eq 6
  end

  it "gives each of them a proof, or says that there is none, or that the thing is missing" do
    expect_none entries.reject(&:state), "Quote an example, or write \"no spec yet\" or \"missing\":"
  end

  it "names files that are there" do
    unknown = text.gsub(/`[^`]*`/, "").scan(/\[([a-z_]+)\](?![(:])/).flatten.uniq - files.keys
    expect_none unknown, "Say at the end of docs/compatibility.md which files these are:"
    expect_none files.values - Sources.all, "Take these from the end of docs/compatibility.md, and write \"no spec yet\" where they were named:"
  end

  it "quotes examples that are there" do
    gone = entries.flat_map(&:examples).uniq.reject { |name, sentence| example?(files.fetch(name), sentence) }
    expect_none gone.map { |name, sentence| "#{files.fetch(name)}: #{sentence}" },
                "Quote what proves it now in docs/compatibility.md, or write \"no spec yet\":"
  end

  it "is not alone: the page on testing quotes examples that are there, too" do
    page = Sources.read("docs/testing.md")
    paths = page.scan(%r{^\[(\w+)\]: \.\./(\S+)$}).to_h
    quoted = entry.new("", "", page[/^## Proofs$.*/m]).examples
    expect(quoted.size).to be > 30
    expect_none quoted.reject { |name, sentence| paths[name] && example?(paths[name], sentence) },
                "Quote what proves it now at the end of docs/testing.md:"
  end

  it "sends whoever wants to know why something differs to another page" do
    silent = entries.select { |row| row.differs? && !row.proof.match?(/\[(?:differences|settings)\]/) }
    expect_none silent, "Give the reason in docs/differences.md, and name that page as [differences]:"
  end

  it "has an entry for every setting, with its variables and its flag" do
    settings = entries.select { |row| row.section == "Settings" }.map(&:subject).join("\n")
    options = GoodJob::Configuration::OPTIONS
    names = options.names + options.flat_map(&:env) + options.flags.map { |option| "--#{option.name.to_s.tr("_", "-")}" } +
            GoodJob::Configuration::RETIRED
    expect_none names.reject { |name| settings.include?("`#{name}`") }, "Enter these in docs/compatibility.md, with the example that proves them:"
  end

  it "has an entry for every notification that has a line in the log" do
    notifications = entries.select { |row| row.section == "Notifications and logs" }.map(&:subject).join("\n")
    names = GoodJob::LogSubscriber.public_instance_methods(false) - [:logger]
    expect_none names.reject { |name| notifications.include?("`#{name}.good_job`") },
                "Enter these in docs/compatibility.md, with the example that proves them:"
  end

  it "counts right" do
    states = entries.map(&:state).tally
    states["… of these, other than in GoodJob on purpose"] = entries.count { |row| row.differs? && row.state == "proven" }
    expect(count.scan(/^\| (.+) \| (\d+) \|$/).to_h.transform_values(&:to_i)).to eq states
  end
end
