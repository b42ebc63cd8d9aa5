# frozen_string_literal: true

require_relative "lib/good_job/version"

Gem::Specification.new do |spec|
  spec.name = "good_job_rs"
  spec.version = GoodJob::VERSION
  spec.summary = "GoodJob's Active Job backend for Postgres, run by a Rust runtime"
  spec.description = <<~TEXT
    A drop-in for GoodJob: the same adapter, module, tables, settings and command. A Rust runtime claims, listens,
    completes and stays alive outside Ruby's global lock; Ruby only runs the jobs.
  TEXT
  spec.authors = ["The good_job_rs authors"]
  spec.license = "MIT"

  spec.required_ruby_version = ">= 3.1"
  # The first RubyGems that runs cargo by itself.
  spec.required_rubygems_version = ">= 3.3.11"

  spec.files = Dir.chdir(__dir__) do
    Dir[
      "{README,CHANGELOG,ARCHITECTURE}.md", "LICENSE.txt",
      "Cargo.{toml,lock}", "ext/Cargo.toml", "ext/build.rs", "ext/{0_toolchain,src}/**/*.{rb,rs}",
      "ext/core/Cargo.toml", "ext/core/{src,sql,benches,tests}/**/*.{rs,sql}",
      "lib/**/*.{rb,rake,tt,erb}", "exe/*", "migrations/*.sql"
    ]
  end
  spec.bindir = "exe"
  spec.executables = ["good_job"]

  # The first looks whether Rust and libclang are there, and says what to do; the second builds. RubyGems sorts them: hence the digit.
  # The crate has the gem's name and its manifest stands directly in ext, so that every RubyGems installs the library at the same path.
  spec.extensions = ["ext/0_toolchain/extconf.rb", "ext/Cargo.toml"]

  spec.metadata["rubygems_mfa_required"] = "true"

  spec.add_dependency "activejob", ">= 6.1"
  spec.add_dependency "activerecord", ">= 6.1"
  spec.add_dependency "fugit", ">= 1.1"
  spec.add_dependency "pg"
  spec.add_dependency "railties", ">= 6.1"
  spec.add_dependency "thor", ">= 1.0"
end
