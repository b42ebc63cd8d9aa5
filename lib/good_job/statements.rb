# frozen_string_literal: true

module GoodJob
  # Runs the queue's statements on the application's own connection: in its transaction, if one is open.
  module Statements
    PLACEHOLDER = /\{(\w+)\}/
    COMMENT = /^--.*\n/
    # Tables of an older GoodJob have no such column.
    LOCK_TYPE = /^ +lock_type +=.*,\n/
    LOCK_TYPE_READ = /, lock_type$/

    @texts = {}

    class << self
      # @param name [String] a file of ext/core/sql, without ".sql"
      # @param binds [Array] its parameters in order: nil, numbers, booleans, strings, times
      # @param on [ActiveRecord::ConnectionAdapters::AbstractAdapter, nil] instead of the thread's own connection
      # @return [ActiveRecord::Result]
      def run(name, binds, on = nil)
        return BaseRecord.connection_pool.with_connection { |connection| run(name, binds, connection) } unless on

        # Since Active Record 8.0 `prepare: true` prepares though `prepared_statements: false` forbids it, as behind some poolers.
        on.exec_query(text(name), "GoodJob #{name}", binds, prepare: on.prepared_statements).tap { on.clear_query_cache }
      end

      # @param session [PG::Connection] that is none of Active Record's
      # @param limit_s [Numeric] how long the server may take
      # @return [Array<Hash>]
      # @raise [PG::ConnectionBad] it has taken longer; the session is of no more use
      def run_on(session, name, binds, limit_s)
        session.send_query_params(text(name), binds)
        raise PG::ConnectionBad, "GoodJob: the database gave no answer within #{limit_s} s" unless session.block(limit_s)

        session.get_last_result.to_a
      end

      # @return [ActiveRecord::ConnectionAdapters::AbstractAdapter] the thread's own connection, its own from now on
      def connection
        BaseRecord.respond_to?(:lease_connection) ? BaseRecord.lease_connection : BaseRecord.connection
      end

      # @param values [Array<String, nil>, nil]
      # @return [String, nil] the literal of a Postgres array, for a parameter of that type
      def array(values)
        encoder.encode(values) if values
      end

      # @param literal [String, nil]
      # @return [Array<String, nil>, nil] the reverse of {.array}
      def list(literal)
        decoder.decode(literal) if literal
      end

      # @param time [Time, nil]
      # @return [String, nil] as an element of an array of timestamps, in the zone of the columns
      def timestamp(time)
        (Database.local? ? time.getlocal : time.getutc).strftime("%Y-%m-%d %H:%M:%S.%6N") if time
      end

      private

      # A name is always filled in with the same tables, so that two threads at once do no harm.
      def text(name)
        @texts[name] ||= statement(name).gsub(COMMENT, "").squish.gsub(PLACEHOLDER) { quoted_table(Regexp.last_match(1).to_sym) }.freeze
      end

      def statement(name)
        text = Native.statement(name)
        return text if !text.match?(LOCK_TYPE) || Job.column_names.include?("lock_type")

        text.gsub(LOCK_TYPE, "").gsub(LOCK_TYPE_READ, ", NULL::int2 AS lock_type")
      end

      def quoted_table(role)
        BaseRecord.connection_pool.with_connection { |connection| connection.quote_table_name(Database.tables.fetch(role)) }
      end

      def encoder
        @encoder ||= PG::TextEncoder::Array.new(elements_type: PG::TextEncoder::String.new).freeze
      end

      def decoder
        @decoder ||= PG::TextDecoder::Array.new(elements_type: PG::TextDecoder::String.new).freeze
      end
    end
  end
end
