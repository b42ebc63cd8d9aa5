# frozen_string_literal: true

require "json"
require "optparse"
require_relative "context"
require_relative "peer"
require_relative "plot"
require_relative "report"
require_relative "results"
require_relative "scenario"
require_relative "sheet"
Dir[File.expand_path("../scenarios/*.rb", __dir__)].each { |file| require file }

module Bench
  # bin/bench.
  class CommandLine
    ALL = "all"
    DRAWINGS = { "plot" => ->(results) { Plot.new(results).svg }, "table" => ->(results) { Sheet.new(results).markdown } }.freeze

    # Something about the arguments is wrong.
    class Usage < StandardError; end

    # @param arguments [Array<String>]
    def initialize(arguments)
      @arguments = arguments.dup
      @quick = false
      @peers = []
    end

    # @return [Integer] the exit status
    def run
      name = @arguments.shift
      return list if name.nil? || name.match?(/\A(?:-h|--help|help)\z/)

      case name
      when ALL then run_all
      when *DRAWINGS.keys then draw(name)
      else run_one(find(name))
      end
      0
    rescue Usage => e
      warn "bin/bench: #{e.message}"
      64
    rescue Incorrect, MeasuredProcess::Failed, Drain::Stalled => e
      warn "bin/bench: #{e.message}"
      1
    end

    private

    def list
      puts "Usage: bin/bench SCENARIO [OPTIONS]", "       bin/bench all [--quick] [--json FILE]",
           "       bin/bench plot FILE, bin/bench table FILE", "",
           "A scenario prints a table, and one line of JSON as the last. --quick measures nothing well, but checks all there is to check.",
           "--peer NAME compares with another queue, once for each: #{Peer.names.join(", ")}. plot and table show",
           "the FILE of --json, as an SVG and in Markdown.", ""
      Scenario.all.each { |scenario| describe(scenario) }
      0
    end

    def describe(scenario)
      puts scenario.scenario_name, "    #{scenario.summary}"
      puts "    --peer NAME" if scenario.compares
      scenario.options.each_value { |option| puts format("    --%-14s %s (%d)", "#{option.name} N", option.description, option.default) }
      puts
    end

    def find(name)
      Scenario.all.find { |scenario| scenario.scenario_name == name } ||
        raise(Usage, "there is no scenario #{name.inspect}, only #{Scenario.all.map(&:scenario_name).join(", ")} and all")
    end

    def run_one(scenario)
      chosen = parse { |parser, options| define_options(parser, scenario, options) }
      raise Usage, "#{scenario.scenario_name} does not compare with peers" if @peers.any? && !scenario.compares

      peers_of(scenario).each { |peer| measure(scenario, chosen, peer) }
    end

    def run_all
      file = nil
      parse { |parser| parser.on("--json FILE") { |path| file = path } }
      results = []
      Scenario.all.each do |scenario|
        (@quick ? [{}] : scenario.variants).product(peers_of(scenario)).each do |variant, peer|
          results << measure(scenario, variant, peer)
          # After each, so that what has been measured is kept if the rest is not.
          File.write(file, "#{JSON.pretty_generate(results)}\n") if file
        end
      end
    end

    def draw(drawing)
      file = @arguments.shift || raise(Usage, "#{drawing} shows a FILE that `bin/bench all --json FILE` wrote")
      raise Usage, "#{@arguments.first.inspect} is no option" if @arguments.any?

      puts DRAWINGS.fetch(drawing).call(Results.new(JSON.parse(File.read(file), symbolize_names: true), Scenario.all))
    rescue SystemCallError, JSON::ParserError => e
      raise Usage, "#{file} cannot be shown: #{e.message}"
    end

    # @return [Array<Peer, nil>] one for each run: no peer, where none is asked for or installed
    def peers_of(scenario)
      peers = scenario.compares ? @peers.map { |name| Peer.find(name) } : []
      absent, present = peers.partition(&:missing)
      absent.each { |peer| puts "#{peer.name}: not installed (#{peer.missing})" }
      present.empty? ? [nil] : present
    end

    # @return [Hash{Symbol => Integer}] what the arguments say
    def parse
      options = {}
      parser = OptionParser.new
      parser.on("--quick") { @quick = true }
      parser.on("--peer NAME", Peer.names) { |name| @peers << name }
      yield parser, options
      left = parser.parse(@arguments)
      raise Usage, "#{left.first.inspect} is no option" if left.any?

      options
    rescue OptionParser::ParseError => e
      raise Usage, "#{e.message} (known: #{known(parser)})"
    end

    def define_options(parser, scenario, options)
      scenario.options.each_key do |name|
        parser.on("--#{name} N", Integer) do |value|
          raise OptionParser::InvalidArgument, "#{value} is less than 1" if value < 1

          options[name] = value
        end
      end
    end

    def known(parser)
      parser.summarize.map(&:strip).join(", ")
    end

    # @return [Hash] see {Report#to_h}
    def measure(scenario_class, chosen, peer)
      defaults = scenario_class.options.transform_values { |option| @quick ? option.quick : option.default }
      scenario = scenario_class.new(defaults.merge(chosen), peer: peer)
      context = Context.to_h
      report = Report.new(scenario, scenario.run, context)
      puts report.table, JSON.generate(report.to_h)
      raise Incorrect, scenario.faults.join("; ") if scenario.faults.any?

      report.to_h
    end
  end
end
