# frozen_string_literal: true

module GoodJob
  # Writes into schema.rb what Rails leaves out of it: the storage parameters of the queue's tables. What is written is plain Rails, an
  # option of `create_table`, and is loaded without this.
  module SchemaDump
    STORAGE_PARAMETERS = <<~SQL.squish
      SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = to_regclass(%s)
    SQL

    # @param table_name [String]
    # @return [Hash, nil] see ActiveRecord's PostgreSQL adapter
    def table_options(table_name)
      options = super
      return options unless GoodJob::Database.tables.value?(table_name.to_s)

      parameters = query_value(format(STORAGE_PARAMETERS, quote(quote_table_name(table_name))), "SCHEMA")
      return options if parameters.blank?

      options = (options || {}).dup
      options[:options] = [options[:options], "WITH (#{parameters})"].compact.join(" ")
      options
    end
  end
end
