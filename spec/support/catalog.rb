# frozen_string_literal: true

require_relative "postgres"

# What Postgres itself says about the tables of a database, for comparing two of them.
class Catalog
  COLUMNS = <<~SQL
    SELECT relname AS table, attname AS column, format_type(atttypid, atttypmod) AS type, attnotnull AS not_null,
           pg_get_expr(adbin, adrelid) AS default
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname LIKE '%good_job%' AND attnum > 0 AND NOT attisdropped
    ORDER BY relname, attnum
  SQL

  INDEXES = <<~SQL
    SELECT tablename AS table, indexname AS index, indexdef AS definition
    FROM pg_indexes
    WHERE schemaname = current_schema() AND tablename LIKE '%good_job%'
    ORDER BY tablename, indexname
  SQL

  CONSTRAINTS = <<~SQL
    SELECT conrelid::regclass::text AS table, conname AS constraint, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint
    WHERE connamespace = current_schema()::regnamespace AND conrelid::regclass::text LIKE '%good_job%' AND contype <> 'n'
    ORDER BY 1, 2
  SQL

  STORAGE = <<~SQL
    SELECT relname AS table, reloptions AS parameters
    FROM pg_class
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname LIKE '%good_job%'
    ORDER BY relname
  SQL

  def initialize(database_url)
    @url = database_url
  end

  # @return [Array<Hash>] in the tables' own order
  def columns
    Postgres.execute(@url, COLUMNS)
  end

  def indexes
    Postgres.execute(@url, INDEXES)
  end

  def index_names
    indexes.map { |index| index.fetch("index") }
  end

  def constraints
    Postgres.execute(@url, CONSTRAINTS)
  end

  def storage
    Postgres.execute(@url, STORAGE)
  end

  def tables
    columns.map { |column| column.fetch("table") }.uniq
  end

  # Everything, regardless of the order of columns: some versions of Rails write schema.rb in alphabetical order.
  def to_h
    { columns: columns.sort_by { |column| column.values_at("table", "column") }, indexes: indexes, constraints: constraints, storage: storage }
  end
end
