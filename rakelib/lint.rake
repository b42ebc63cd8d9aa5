# frozen_string_literal: true

require_relative "cargo"

namespace :lint do
  desc "Check the format of the Rust code"
  task :fmt do
    Cargo.run("fmt", "--all", "--check")
  end

  desc "Run clippy, warnings denied"
  task :clippy do
    Cargo.run("clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings")
  end

  desc "Run RuboCop"
  task :rubocop do
    sh "rubocop", "--parallel"
  end
end

desc "Run every linter"
task lint: %w[lint:fmt lint:clippy lint:rubocop]
