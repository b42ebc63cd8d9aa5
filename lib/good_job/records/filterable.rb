# frozen_string_literal: true

module GoodJob
  # Looking for jobs among many: pages by key, and the full text of what a job says of itself.
  module Filterable
    extend ActiveSupport::Concern

    # The longest part of an error that is searched, in characters: a document must stay below Postgres' limit of 1 MB.
    ERROR_CHARACTERS_MAX = 262_144

    included do
      # A page of jobs, after the one that is named by its time and id. That one may be gone by now.
      #
      # @!method self.display_all(ordered_by: nil, after_at: nil, after_id: nil)
      #   @param ordered_by [Array(String, String), nil] column and direction
      #   @param after_at [Time, String, nil]
      #   @param after_id [String, nil]
      scope :display_all, lambda { |ordered_by: nil, after_at: nil, after_id: nil|
        column, direction = Array(ordered_by).map(&:to_s).presence || %w[created_at desc]
        direction = direction.to_s.casecmp?("asc") ? "ASC" : "DESC"
        raise ArgumentError, "GoodJob: there is no column #{column.inspect} to order jobs by." unless column_names.include?(column)

        ordered = order(Arel.sql("#{quoted_table_name}.#{column} #{direction} NULLS LAST"), Arel.sql("#{quoted_table_name}.id #{direction}"))
        after_at = (Time.zone || ActiveSupport::TimeZone["UTC"]).parse(after_at) if after_at.is_a?(String) && after_at.present?
        ordered.after_key(column, direction == "ASC" ? ">" : "<", after_at.presence, after_id.presence)
      }

      scope :after_key, lambda { |column, comparison, at, id|
        if at && id
          where("(#{quoted_table_name}.#{column}, #{quoted_table_name}.id) #{comparison} (?, ?)", at, id)
        elsif at
          where("#{quoted_table_name}.#{column} #{comparison} ?", at)
        else
          all
        end
      }

      # Jobs by the words of their ids, payload, error and labels, the best match first. The id of a job that exists finds just that job.
      scope :search_text, lambda { |query|
        query = query.to_s.strip
        next all if query.empty?
        next where(id: query) if query.match?(/\A\h{8}(?:-\h{4}){3}-\h{12}\z/) && unscoped.exists?(id: query)

        terms = sanitize_sql_array(["websearch_to_tsquery('english', ?)", query])
        where("(#{searchable_text}) @@ #{terms}").order(Arel.sql("ts_rank((#{searchable_text}), #{terms}) DESC"))
      }
    end

    class_methods do
      # @return [String] SQL
      def searchable_text
        table = quoted_table_name
        <<~SQL.squish
          to_tsvector('english', #{table}.id::text) || to_tsvector('english', COALESCE(#{table}.active_job_id::text, ''))
          || to_tsvector('english', COALESCE(#{table}.serialized_params, '{}'::jsonb))
          || to_tsvector('english', COALESCE(#{table}.serialized_params->>'arguments', ''))
          || to_tsvector('english', left(COALESCE(#{table}.error, ''), #{ERROR_CHARACTERS_MAX}))
          || to_tsvector('english', array_to_string(COALESCE(#{table}.labels, '{}'), ' '))
        SQL
      end
    end
  end
end
