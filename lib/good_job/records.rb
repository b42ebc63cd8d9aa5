# frozen_string_literal: true

module GoodJob
  # The Active Record models, loaded when first named. A Rails application's own autoloader takes them over, so that they are reloaded
  # together with the parent class that the application gave them.
  module Records
    DIRECTORY = File.expand_path("records", __dir__)
    FILES = Dir.children(DIRECTORY).to_h { |file| [File.basename(file, ".rb").camelize.to_sym, File.join(DIRECTORY, file)] }.freeze

    class << self
      def autoload_plainly
        FILES.each { |name, path| GoodJob.autoload(name, path) }
      end

      # @param loader [Zeitwerk::Loader, nil] nil: the application loads in the old way, without one
      def hand_over(loader)
        return unless loader

        FILES.each_key { |name| GoodJob.send(:remove_const, name) if GoodJob.autoload?(name) }
        loader.push_dir(DIRECTORY, namespace: GoodJob)
      end
    end

    autoload_plainly
  end
end
