# frozen_string_literal: true

require_relative "../../bin/support/scratch_database"
require_relative "good_job_rs"
require_relative "interleaving"
require_relative "measured_process"
require_relative "side"

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

      # @return [Symbol, nil] the figure by which it is compared with a peer; given one, sets it. nil: no peer takes part
      def compares(figure = nil)
        figure ? @compares = figure : @compares
      end

      private

      # A whole number, 1 or more.
      def option(name, default, description, quick: default)
        options[name] = Option.new(name, default, quick, description)
      end
    end

    # @param options [Hash{Symbol => Integer}] a value for each of the scenario's
    # @param queue [#name] what is measured, see {GoodJobRs}
    # @param peer [Peer, nil] what it is compared with
    def initialize(options, queue: GoodJobRs.new, peer: nil)
      @options = options
      @queue = queue
      @peer = peer
    end

    attr_reader :options, :queue, :peer

    # @return [Hash{Symbol => String}] what the project wants of a figure with these options
    def goals
      self.class.goals
    end

    # @return [Hash{Symbol => Series, Numeric}] the figures
    # @raise [Incorrect]
    def run
      ScratchDatabase.open("bench") do |database|
        @database = database
        queue.create_tables(database.url)
        measure
      end
    end

    # @return [Array<String>] what the figures say that must not be, of a scenario whose figures count faults
    def faults
      []
    end

    private

    # Runs the block with a new process in which the application and the queue are loaded.
    def process(database_url = @database.url, &block)
      MeasuredProcess.open(queue, database_url, &block)
    end

    # Runs the block with the queue's side, and with the peer's where there is one.
    # @yieldparam sides [Array<Side>]
    def with_sides(&block)
      own = Side.new(queue, @database.url)
      peer ? with_peer(own, &block) : yield([own])
    ensure
      own&.close
    end

    def with_peer(own)
      ScratchDatabase.open("bench_peer") do |database|
        peer.create_tables(database.url)
        other = Side.new(peer, database.url)
        yield [own, other]
      ensure
        other&.close
        peer.close
      end
    end

    # One turn of each side.
    # @yieldparam side [Side]
    # @yieldreturn [Hash{Symbol => Numeric}] its figures
    # @return [Hash{Symbol => Numeric}] ours by their names; the peer's with "peer_" before them, and how the two compare
    def turn(sides, &block)
      own, other = sides.map(&block)
      return own unless other

      figure = self.class.compares
      { **own, **other.transform_keys { |name| :"peer_#{name}" }, ratio_to_peer: own.fetch(figure) / other.fetch(figure) }
    end

    def expect_none(faults)
      raise Incorrect, faults.join("; ") if faults.any?
    end
  end
end
