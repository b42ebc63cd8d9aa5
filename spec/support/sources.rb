# frozen_string_literal: true

require "find"
require_relative "project"

# The project's own files, as text, for tidy_spec.
module Sources
  IGNORED = %r{\A(?:\.git|\.lanes|target|tmp|pkg|lib/good_job_rs|examples/[^/]+/(?:log|tmp)|Gemfile\.lock)\z}

  # A place in a file: what a check complains about.
  Line = Struct.new(:path, :number, :text) do
    def to_s
      "#{path}:#{number}: #{text.strip}"
    end
  end

  module_function

  # @return [Array<String>] from the project's root
  def paths(*patterns)
    flags = File::FNM_PATHNAME | File::FNM_EXTGLOB | File::FNM_DOTMATCH
    all.select { |path| patterns.any? { |pattern| File.fnmatch?(pattern, path, flags) } }
  end

  def all
    @all ||= Find.find(Project::ROOT.to_s).filter_map do |file|
      path = file.delete_prefix("#{Project::ROOT}/")
      Find.prune if path.match?(IGNORED)
      path if File.file?(file)
    end.sort
  end

  def read(path)
    Project.path(path).read(encoding: "UTF-8")
  end

  # @return [Array<Line>]
  def lines(*patterns, except: [])
    (paths(*patterns) - paths(*except)).flat_map do |path|
      read(path).lines.each_with_index.map { |text, index| Line.new(path, index + 1, text) }
    end
  end

  # Without comments and, in Rust, without a file's own tests.
  def code(*patterns, except: [])
    (paths(*patterns) - paths(*except)).flat_map do |path|
      comment = path.end_with?(".rs") ? %r{\A\s*//} : /\A\s*#/
      lines(path).take_while { |line| !line.text.start_with?("#[cfg(test)]") }.reject { |line| line.text.match?(comment) }
    end
  end

  # @return [Array<Line>] of the code, those that match
  def code_matching(pattern, *patterns, except: [])
    code(*patterns, except: except).select { |line| line.text.match?(pattern) }
  end

  # @return [Hash{String => Integer}] "path#function" to its number of lines; a function ends where its indentation comes back
  def long_functions(pattern, opening, closing, over:)
    paths(pattern).each_with_object({}) do |path, lengths|
      text = read(path)
      text.scan(/^(?<indent> *)#{opening}.*?\n\k<indent>#{closing}\n/m) do
        length = Regexp.last_match(0).lines.size
        lengths["#{path}##{Regexp.last_match(:name)}"] = length if length > over
      end
    end
  end
end
