# frozen_string_literal: true

require "json"

module GoodJob
  class Configuration
    # What a setting may be: in words, for the error, and as a function that returns the value in its final type.
    Check = Struct.new(:allowed, :cast) do
      # @raise [ArgumentError] names the setting, the value and what is allowed
      def call(label, value)
        cast.call(value)
      rescue ArgumentError, TypeError, JSON::ParserError => e
        detail = " (#{e.message})" unless [e.class.name, nil].include?(e.message)
        raise ArgumentError, "GoodJob: #{label} is #{value.inspect}, but must be #{allowed}#{detail}."
      end
    end

    # What defaults depend on.
    Context = Struct.new(:rails_env, :cli) do
      # @return [String, nil] the application's directory
      def root
        ::Rails.root&.to_s if defined?(::Rails.root)
      end

      def development?
        rails_env == "development"
      end
    end

    # One setting: its name, where it may come from, its default and what it may be.
    #
    # @!attribute [r] name
    #   @return [Symbol] the key under config.good_job and in {Configuration#initialize}
    # @!attribute [r] env
    #   @return [Array<String>] environment variables; the first that is set wins
    # @!attribute [r] flag
    #   @return [String, nil] what the command line's help says of it; nil: the command has no such flag
    # @!attribute [r] default
    #   @return [Object, Proc] a proc is given the {Context}
    # @!attribute [r] false_is_unset
    #   @return [Boolean] whether `false` means "not set", so that the next source is asked
    Option = Struct.new(:name, :check, :env, :flag, :default, :false_is_unset, keyword_init: true) do
      # @return [Boolean] whether it is true or false
      def switch?
        check.allowed == Checks.boolean.allowed
      end

      # @return [Object] the value of the first source that has one
      def resolve(explicit, rails, environment, context)
        label, value = sources(explicit, rails, environment).find { |_label, candidate| set?(candidate) }
        return check.call(label, value) if label

        default.is_a?(Proc) ? default.call(context) : default
      end

      private

      def sources(explicit, rails, environment)
        [[name, explicit[name]], ["config.good_job.#{name}", rails[name]], *env.map { |variable| [variable, environment[variable]] }]
      end

      def set?(value)
        !(value.nil? || value == "" || (false_is_unset && value == false))
      end
    end
  end
end
