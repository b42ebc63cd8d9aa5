# frozen_string_literal: true

require "tmpdir"

module Bench
  module Inside
    # A peer's tables, made as its documentation says: by its own generator.
    module Tables
      def self.create
        ActiveRecord::Migration.verbose = false
        Inside.queue.install
        ActiveRecord::Base.connection_pool.disconnect!
        true
      end

      # Runs a generator, and what it wrote below db/: migrations one after the other, or a schema.
      def self.generate(generator)
        require "rails/generators"
        Dir.mktmpdir do |directory|
          Rails::Generators.invoke(generator, ["--quiet"], destination_root: directory)
          Dir[File.join(directory, "db/**/*.rb")].each { |file| run(file) }
        end
      end

      def self.run(file)
        require file
        migration = File.basename(file, ".rb")[/\A\d+_(.+)/, 1]
        migration&.camelize&.constantize&.migrate(:up)
      end
      private_class_method :run
    end
  end
end
