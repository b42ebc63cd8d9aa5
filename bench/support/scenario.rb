# frozen_string_literal: true

require_relative "../../bin/support/scratch_database"
require_relative "good_job_rs"
require_relative "interleaving"
require_relative "measured_process"

module Bench
  # The jobs did not run as they should: the figures mean nothing.
  class Incorrect < StandardError; end

  # One thing that is measured. A scenario says what its options are, and measures; what surrounds it is the command line's.
  class Scenario
    Option = Struct.new(:name, :default, :quick, :description)

    class << self
      # @return [Array<Class>] in order of their names
      def all
        @all.sort_by(&:scenario_name)
      end

      def inherited(scenario)
        super
        (@all ||= []) << scenario
      end

      # @return [String]
      def scenario_name
        name.split("::").last.gsub(/(?<=[a-z])(?=[A-Z])/, "_").downcase
      end

      # @return [String, nil] what it measures; given one, sets it
      def summary(text = nil)
        text ? @summary = text : @summary
      end

      # @return [Hash{Symbol => Option}]
      def options
        @options ||= {}
      end

      # @return [Array<Hash>] the options with which `all` runs it, one run each
      def variants(*options)
        options.empty? ? @variants || [{}] : @variants = options
      end

      # @return [Hash{Symbol => String}] what the project wants of a figure, by its name
      def goals(goals = nil)
        goals ? @goals = goals : @goals || {}
      end

      private

      # A whole number, 1 or more.
      def option(name, default, description, quick: default)
        options[name] = Option.new(name, default, quick, description)
      end
    end

    # @param options [Hash{Symbol => Integer}] a value for each of the scenario's
    # @param queue [#name] what is measured, see {GoodJobRs}
    def initialize(options, queue: GoodJobRs.new)
      @options = options
      @queue = queue
    end

    attr_reader :options, :queue

    # @return [Hash{Symbol => Series, Numeric}] the figures
    # @raise [Incorrect]
    def run
      ScratchDatabase.open("bench") do |database|
        @database = database
        queue.create_tables(database.url)
        measure
      end
    end

    private

    # Runs the block with a new process in which the application and the queue are loaded.
    def process(database_url = @database.url, &block)
      MeasuredProcess.open(queue, database_url, &block)
    end

    def expect_none(faults)
      raise Incorrect, faults.join("; ") if faults.any?
    end
  end
end
