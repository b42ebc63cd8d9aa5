# frozen_string_literal: true

module GoodJob
  class Configuration
    # The kinds of values that settings have.
    module Checks
      TRUE_WORDS = [true, 1, "1", "t", "true", "on", "yes"].freeze
      FALSE_WORDS = [false, 0, "0", "f", "false", "off", "no"].freeze

      class << self
        def one_of(*symbols)
          Check.new("one of #{symbols.map(&:inspect).join(", ")}", lambda { |value|
            symbols.find { |symbol| symbol.to_s == value.to_s } || raise(ArgumentError)
          })
        end

        def whole(range, allowed)
          Check.new(allowed, ->(value) { integer(value).tap { |number| raise ArgumentError unless range.cover?(number) } })
        end

        def seconds(allowed, range = nil)
          Check.new(allowed, ->(value) { float(value).tap { |number| raise ArgumentError unless range.nil? || range.cover?(number) } })
        end

        # Of time, which does not run backwards.
        def duration
          seconds("a number of seconds, 0 or more", 0.0..)
        end

        def boolean
          Check.new("true or false", ->(value) { truth(value) })
        end

        def text(allowed)
          Check.new(allowed, ->(value) { string(value) })
        end

        def path
          Check.new("a path", ->(value) { string(value.respond_to?(:to_path) ? value.to_path : value) })
        end

        def callable(allowed)
          Check.new(allowed, ->(value) { value.respond_to?(:call) ? value : raise(TypeError) })
        end

        def logger
          Check.new("a Logger", ->(value) { value.respond_to?(:info) ? value : raise(TypeError) })
        end

        # The queue string is parsed by those who will work by it, so that there is one grammar.
        def queues
          Check.new("a string of pools such as \"*\", \"mice,rats:2;elephants:1\", \"-slow\" or \"+first,second\"",
                    ->(value) { string(value).tap { |queues| Native.parse_queues(queues) } })
        end

        def cron
          Check.new("a Hash of cron entries by name (in the environment: as JSON)", lambda { |value|
            entries = value.is_a?(String) ? JSON.parse(value, symbolize_names: true) : value
            entries.respond_to?(:to_hash) ? entries.to_hash : raise(TypeError)
          })
        end

        def preserve
          Check.new("true, false, nil, :on_unhandled_error or a callable of (active_job, error, error_event)", lambda { |value|
            [true, false, :on_unhandled_error].include?(value) || value.respond_to?(:call) ? value : raise(TypeError)
          })
        end

        # Nil, "" and true mean the default; false and 0 switch off; -1 means always.
        def interval(default, unit)
          number = whole(-1.., unit)
          Check.new("a number of #{unit}, -1 for always, or false for never", lambda { |value|
            case value.to_s
            when "", "true" then default
            when "0", "false" then nil
            else number.cast.call(value)
            end
          })
        end

        private

        def integer(value)
          return Integer(value.strip, 10) if value.is_a?(String)

          Integer(value).tap { |number| raise ArgumentError unless number == value }
        end

        def float(value)
          number = Float(value.is_a?(String) ? value.strip : value)
          number.finite? ? number : raise(ArgumentError)
        end

        def string(value)
          value.is_a?(String) || value.is_a?(Symbol) ? value.to_s : raise(TypeError)
        end

        def truth(value)
          word = value.is_a?(String) ? value.strip.downcase : value
          return true if TRUE_WORDS.include?(word)
          return false if FALSE_WORDS.include?(word)

          raise ArgumentError
        end
      end
    end
  end
end
