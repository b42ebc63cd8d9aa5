# frozen_string_literal: true

module GoodJob
  # Postgres' advisory locks by record, under the keys that GoodJob uses: the hash of "<table>-<primary key>". A lock of the session stays
  # on the thread's own connection until it is given up there.
  module AdvisoryLockable
    extend ActiveSupport::Concern

    # A record is locked by another session, or a process is running it.
    RecordAlreadyAdvisoryLockedError = Class.new(StandardError)

    HEXADECIMAL_HASHES = {
      "md5" => "md5(%s)",
      "uuid_v5" => "replace(uuid_generate_v5(uuid_ns_dns(), %s)::text, '-', '')",
      "sha1" => "encode(digest(%s, 'sha1'), 'hex')",
      "sha224" => "encode(sha224(convert_to(%s, 'UTF8')), 'hex')",
      "sha256" => "encode(sha256(convert_to(%s, 'UTF8')), 'hex')",
      "sha384" => "encode(sha384(convert_to(%s, 'UTF8')), 'hex')",
      "sha512" => "encode(sha512(convert_to(%s, 'UTF8')), 'hex')"
    }.freeze
    # 32 bits, and no hexadecimal text.
    HASHTEXT = "hashtext"
    TRY = "pg_try_advisory_lock"
    WAIT = "pg_advisory_lock"
    FUNCTIONS = /\Apg_(?:(?:try_)?advisory_(?:xact_)?lock|advisory_unlock)(?:_shared)?\z/

    # uuid_v5 needs the extension uuid-ossp, sha1 pgcrypto. What runs beside workers of GoodJob needs "md5", as they do.
    mattr_accessor :hash_function, default: "md5"

    # @param text [String] an SQL expression
    # @return [String] SQL for the bigint that the functions take
    def self.key_sql(text)
      return "hashtext(#{text})::bigint" if hash_function.to_s == HASHTEXT

      hash = HEXADECIMAL_HASHES.fetch(hash_function.to_s) do
        raise ArgumentError, "GoodJob: AdvisoryLockable.hash_function is #{hash_function.inspect}, but must be one of " \
                             "#{[*HEXADECIMAL_HASHES.keys, HASHTEXT].join(", ")}."
      end
      "('x' || substr(#{format(hash, text)}, 1, 16))::bit(64)::bigint"
    end

    included do
      # @return [Boolean] whether a new record is locked by this session once it is saved
      attr_accessor :create_with_advisory_lock

      after_create -> { advisory_lock || raise(RecordAlreadyAdvisoryLockedError) }, if: :create_with_advisory_lock

      # Records whose lock could be taken, the first ones in order.
      scope :advisory_lock, lambda { |column: primary_key, function: TRY, select_limit: nil|
        # The offset keeps the planner from asking for the locks of more rows than these, and ARRAY from asking for them twice.
        candidates = select("#{quoted_table_name}.*").limit(select_limit || limit_value).offset(offset_value || 0)
        free = advisory_call(function, advisory_key_sql("candidates", column))
        locked = unscoped.from(candidates, :candidates).select(primary_key).where(free).limit(limit_value)
        unscoped.where("#{quoted_table_name}.#{quoted_primary_key} = ANY (ARRAY(#{locked.to_sql}))").merge(all.only(:order))
      }
      scope :joins_advisory_locks, lambda { |column: primary_key|
        joins(<<~SQL.squish)
          LEFT JOIN pg_locks ON pg_locks.locktype = 'advisory' AND pg_locks.objsubid = 1 AND pg_locks.granted
            AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (pg_locks.classid::bigint << 32 | pg_locks.objid::bigint) = #{advisory_key_sql(quoted_table_name, column)}
        SQL
      }
      scope :includes_advisory_locks, lambda { |column: primary_key|
        joins_advisory_locks(column: column)
          .select("#{quoted_table_name}.*", "pg_locks.locktype", "COALESCE(pg_locks.pid = pg_backend_pid(), FALSE) AS owns_advisory_lock")
      }
      scope :advisory_locked, ->(column: primary_key) { joins_advisory_locks(column: column).where("pg_locks.locktype IS NOT NULL") }
      scope :advisory_unlocked, ->(column: primary_key) { joins_advisory_locks(column: column).where("pg_locks.locktype IS NULL") }
      scope :owns_advisory_locked, ->(column: primary_key) { joins_advisory_locks(column: column).where("pg_locks.pid = pg_backend_pid()") }
    end

    class_methods do
      # Locks what can be locked of these records for the duration of the block.
      # @yieldparam records [ActiveRecord::Relation]
      # @return what the block returns
      def with_advisory_lock(column: primary_key, function: TRY, unlock_session: false, select_limit: nil)
        raise ArgumentError, "Must provide a block" unless block_given?

        records = all.advisory_lock(column: column, function: function, select_limit: select_limit).load
        begin
          yield records
        ensure
          unlock_session ? advisory_unlock_session : records.each { |record| record.advisory_unlock(key: record.lockable_column_key(column: column)) }
        end
      end

      # @param key [String] text that is hashed
      # @param function [String] "pg_advisory_lock", "pg_try_advisory_lock", "pg_advisory_xact_lock" and so on
      # @return [Boolean] whether it is locked; with a block what the block returns, nil if it could not be locked
      def advisory_lock_key(key, function: WAIT)
        locked = ask_session(advisory_call(function, text_key(key)))
        return locked unless block_given?
        return unless locked

        begin
          yield
        ensure
          advisory_unlock_key(key) unless function.include?("_xact_")
        end
      end

      # @return [Boolean] whether it had been locked by this session
      def advisory_unlock_key(key, function: "pg_advisory_unlock")
        ask_session(advisory_call(function, text_key(key)))
      end

      # Gives up the lock, however often this session took it.
      def advisory_unlock_key!(key)
        advisory_unlock_key(key) while owns_advisory_lock_key?(key)
      end

      # @return [Boolean] whether any session has it
      def advisory_locked_key?(key)
        ask_session("EXISTS (#{locks_of(key)})")
      end

      # @return [Boolean] whether this session has it
      def owns_advisory_lock_key?(key)
        ask_session("EXISTS (#{locks_of(key)} AND pid = pg_backend_pid())")
      end

      # Gives up all advisory locks of this session.
      def advisory_unlock_session
        ask_session("pg_advisory_unlock_all() IS NULL")
      end

      # Functions that wait return nothing, which is not NULL.
      def advisory_call(function, key)
        name = function.to_s
        raise ArgumentError, "#{function.inspect} is no advisory lock function" unless name.match?(FUNCTIONS)

        answers = name.include?("try") || name.include?("unlock")
        answers ? "#{name}(#{key})" : "(#{name}(#{key}) IS NULL) IS FALSE"
      end

      # @return [String] SQL
      def advisory_key_sql(quoted_table, column)
        prefix = connection_pool.with_connection { |connection| connection.quote("#{table_name}-") }
        AdvisoryLockable.key_sql("#{prefix} || #{quoted_table}.#{quoted_name(column)}::text")
      end

      private

      # A lock belongs to its session: the thread keeps the connection. And what a lock answers is never to come from a cache.
      def ask_session(expression)
        Statements.connection
        uncached { unscoped.from("(SELECT) AS session").pick(Arel.sql(expression)) }
      end

      def locks_of(key)
        "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted " \
          "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) " \
          "AND (classid::bigint << 32 | objid::bigint) = #{text_key(key)}"
      end

      def text_key(key)
        AdvisoryLockable.key_sql("#{Statements.connection.quote(key.to_s)}::text")
      end

      def quoted_name(column)
        connection_pool.with_connection { |connection| connection.quote_column_name(column) }
      end
    end

    # @return [Boolean] whether this session has the lock now
    def advisory_lock(key: lockable_key, function: TRY)
      self.class.advisory_lock_key(key, function: function)
    end

    # @raise [RecordAlreadyAdvisoryLockedError]
    def advisory_lock!(key: lockable_key, function: TRY)
      advisory_lock(key: key, function: function) || raise(RecordAlreadyAdvisoryLockedError)
    end

    # @return [Boolean] whether this session had it
    def advisory_unlock(key: lockable_key, function: "pg_advisory_unlock")
      self.class.advisory_unlock_key(key, function: function)
    end

    # Gives it up, however often this session took it.
    def advisory_unlock!(key: lockable_key)
      self.class.advisory_unlock_key!(key)
    end

    # @yield while this session has the lock
    # @raise [RecordAlreadyAdvisoryLockedError]
    def with_advisory_lock(key: lockable_key, function: TRY)
      raise ArgumentError, "Must provide a block" unless block_given?

      advisory_lock!(key: key, function: function)
      begin
        yield
      ensure
        advisory_unlock(key: key) unless function.include?("_xact_")
      end
    end

    # @return [Boolean] whether any session has the lock
    def advisory_locked?(key: lockable_key)
      self.class.advisory_locked_key?(key)
    end

    # @return [Boolean] whether this session has it
    def owns_advisory_lock?(key: lockable_key)
      self.class.owns_advisory_lock_key?(key)
    end

    # @return [String] the text that is hashed
    def lockable_key
      lockable_column_key(column: self.class.primary_key)
    end

    def lockable_column_key(column: self.class.primary_key)
      "#{self.class.table_name}-#{self[column]}"
    end
  end
end
