# frozen_string_literal: true

require "bundler"

# Runs cargo for the tasks.
module Cargo
  module_function

  # Without Bundler's environment: rb-sys would build everything again whenever it came or went.
  def run(*arguments, env: {})
    Bundler.with_unbundled_env { Rake::FileUtilsExt.sh(env, "cargo", *arguments) }
  end

  def target_directory
    ENV.fetch("CARGO_TARGET_DIR", "target")
  end
end
