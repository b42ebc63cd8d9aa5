# frozen_string_literal: true

require_relative "act"

module Show
  # All acts together.
  class Cast
    # In the order in which they are told of. What cleans up comes last.
    NAMES = %w[
      pools order schedule cron batches nesting bulk limits labels pauses errors interruptions silence inline mail records current_thread
      load_hooks probes cleanup
    ].freeze
    NAMES.each { |name| require_relative "acts/#{name}" }

    # @param stage [Stage]
    def initialize(stage)
      @acts = NAMES.map { |name| Acts.const_get(name.split("_").map(&:capitalize).join).new(stage) }
    end

    def prepare
      @acts.each(&:prepare)
    end

    def start
      @acts.each(&:start)
    end

    def go_on
      @acts.each(&:go_on)
    end

    def finished?
      @acts.all?(&:finished?)
    end

    # @return [Hash{String => Hash{String => Boolean}}] by act: what should be so, and whether it is
    def checks
      @checks ||= @acts.to_h { |act| [act.class.title, act.checks] }
    end

    # @return [Array<String>] empty: all is well
    def faults
      checks.flat_map { |title, checks| checks.reject { |_what, so| so }.keys.map { |what| "#{title}: #{what}" } }
    end
  end
end
