# frozen_string_literal: true

require "active_record/connection_adapters/postgresql_adapter"

# A database that is not PostgreSQL, as far as its configuration says: an adapter with a name of its own. Active Record finds it by a
# method or, later, in a register.
if ActiveRecord::ConnectionAdapters.respond_to?(:register)
  ActiveRecord::ConnectionAdapters.register("cheese", "ActiveRecord::ConnectionAdapters::PostgreSQLAdapter",
                                            "active_record/connection_adapters/postgresql_adapter")
else
  ActiveRecord::Base.define_singleton_method(:cheese_connection) { |config| postgresql_connection(config) }
end
