# frozen_string_literal: true

require "json"
require "optparse"
require_relative "context"
require_relative "report"
require_relative "scenario"
Dir[File.expand_path("../scenarios/*.rb", __dir__)].each { |file| require file }

module Bench
  # bin/bench.
  class CommandLine
    ALL = "all"

    # Something about the arguments is wrong.
    class Usage < StandardError; end

    # @param arguments [Array<String>]
    def initialize(arguments)
      @arguments = arguments.dup
      @quick = false
    end

    # @return [Integer] the exit status
    def run
      name = @arguments.shift
      return list if name.nil? || name.match?(/\A(?:-h|--help|help)\z/)

      name == ALL ? run_all : run_one(find(name))
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
      puts "Usage: bin/bench SCENARIO [OPTIONS]", "       bin/bench all [--quick] [--json FILE]", "",
           "A scenario prints a table, and one line of JSON as the last. --quick measures nothing well, but checks all there is to check.", ""
      Scenario.all.each { |scenario| describe(scenario) }
      0
    end

    def describe(scenario)
      puts scenario.scenario_name, "    #{scenario.summary}"
      scenario.options.each_value { |option| puts format("    --%-14s %s (%d)", "#{option.name} N", option.description, option.default) }
      puts
    end

    def find(name)
      Scenario.all.find { |scenario| scenario.scenario_name == name } ||
        raise(Usage, "there is no scenario #{name.inspect}, only #{Scenario.all.map(&:scenario_name).join(", ")} and all")
    end

    def run_one(scenario)
      chosen = parse { |parser, options| define_options(parser, scenario, options) }
      measure(scenario, chosen)
    end

    def run_all
      file = nil
      parse { |parser| parser.on("--json FILE") { |path| file = path } }
      results = []
      Scenario.all.each do |scenario|
        (@quick ? [{}] : scenario.variants).each do |variant|
          results << measure(scenario, variant)
          # After each, so that what has been measured is kept if the rest is not.
          File.write(file, "#{JSON.pretty_generate(results)}\n") if file
        end
      end
    end

    # @return [Hash{Symbol => Integer}] what the arguments say
    def parse
      options = {}
      parser = OptionParser.new
      parser.on("--quick") { @quick = true }
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
    def measure(scenario_class, chosen)
      defaults = scenario_class.options.transform_values { |option| @quick ? option.quick : option.default }
      scenario = scenario_class.new(defaults.merge(chosen))
      context = Context.to_h
      report = Report.new(scenario, scenario.run, context)
      puts report.table, JSON.generate(report.to_h)
      report.to_h
    end
  end
end
