# frozen_string_literal: true

module GoodJob
  # How a run ended, as a plain hash: what {Native::Runtime#finish} and {Native.transition} take.
  #
  # `state`: "succeeded", "failed" (ended with an error), "retried" (goes back for another attempt), "interrupted" (cut short),
  # "unstarted" (given back as it was), "parked" (the same, kept apart because a limit is reached; `until`: till then at most). `preserve`:
  # whether the row of a job that ended stays. `error`, `error_event` and `error_backtrace` go together. `retry`: what Active Job
  # serialized for the next attempt; without it the job goes back as it was.
  module Outcome
    ERROR_MESSAGE_SEPARATOR = ": "

    SUCCEEDED = { state: "succeeded", preserve: true }.freeze
    SUCCEEDED_AND_GONE = { state: "succeeded", preserve: false }.freeze
    INTERRUPTED = { state: "interrupted", preserve: true }.freeze
    UNSTARTED = { state: "unstarted", preserve: true }.freeze

    class << self
      # @param time [Time, nil] when the job becomes due by itself, if nothing fetches it before
      def parked(time)
        { state: "parked", preserve: true, until: time && microseconds(time) }
      end

      def succeeded(preserve:)
        preserve ? SUCCEEDED : SUCCEEDED_AND_GONE
      end

      # @param event [Symbol] see {BaseRecord::ERROR_EVENTS}
      def failed(error, event, preserve:)
        { state: "failed", preserve: preserve, **failure(error, event) }
      end

      # @param error [Exception, nil] nil: the job retries itself without one
      # @param row [JobRow, nil] the next attempt; nil: the job as it was, at once
      def retried(error, event, row)
        outcome = { state: "retried", preserve: true }
        outcome.update(failure(error, event)) if error
        outcome[:retry] = next_attempt(row) if row
        outcome
      end

      # @return [String] "Class: message", in valid UTF-8 whatever the error says of itself
      def error_text(error)
        "#{error.class.name || error.class.inspect}#{ERROR_MESSAGE_SEPARATOR}#{readable(message_of(error))}"
      end

      private

      def failure(error, event)
        backtrace = error.backtrace&.map { |line| readable(line) }
        { error: error_text(error), error_event: event.name, error_backtrace: backtrace }
      end

      def next_attempt(row)
        {
          serialized_params: row.serialized_params, queue_name: row.queue_name, priority: row.priority, labels: row.labels,
          scheduled_at: row.scheduled_at && microseconds(row.scheduled_at)
        }
      end

      def microseconds(time)
        (time.to_r * 1_000_000).round
      end

      def message_of(error)
        error.message.to_s
      rescue StandardError => e
        "(its message could not be read: #{e.class})"
      end

      def readable(text)
        utf8 = text.encoding == Encoding::UTF_8 ? text : text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace)
        utf8.valid_encoding? ? utf8 : utf8.scrub
      rescue EncodingError
        text.dup.force_encoding(Encoding::UTF_8).scrub
      end
    end
  end
end
