# frozen_string_literal: true

module GoodJob
  # The Active Record models, loaded when first named. In a Rails application its own autoloader looks after them, so that they are
  # reloaded together with the parent class that the application gave them.
  module Records
    DIRECTORY = File.expand_path("records", __dir__)

    def self.autoload_plainly
      Dir.children(DIRECTORY).sort.each do |file|
        name = File.basename(file, ".rb")
        GoodJob.autoload(name.split("_").map(&:capitalize).join, File.join(DIRECTORY, name))
      end
    end
  end
end
