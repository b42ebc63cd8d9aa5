# frozen_string_literal: true

require "bundler"
require "fileutils"
require "open3"
require "rubygems/package"
require "tmpdir"
require_relative "support/project"
require_relative "../ext/0_toolchain/toolchain"

RSpec.describe "The packaged gem" do
  # Whether it builds is the question here, not how fast it is then: optimizing takes minutes.
  unoptimized = %w[OPT_LEVEL=0 LTO=off CODEGEN_UNITS=16].to_h { |setting| "CARGO_PROFILE_RELEASE_#{setting}".split("=") }

  # Outside of the checkout and of its bundle, as on a user's machine.
  def run(*command, environment: {})
    own = { "GEM_HOME" => home, "GEM_PATH" => [home, *Gem.default_path].join(":"), "RUBYLIB" => nil }
    Bundler.with_unbundled_env { Open3.capture2e(own.merge(environment), *command, chdir: directory) }
  end

  def gem(*arguments, **options)
    run(RbConfig.ruby, "-S", "gem", *arguments, **options)
  end

  def install(**options)
    gem("install", "--local", "--ignore-dependencies", "--no-document", package, **options)
  end

  attr_reader :directory, :package, :home

  around do |example|
    Dir.mktmpdir do |directory|
      @directory = directory
      @home = File.join(directory, "home")
      @package = File.join(directory, "good_job_rs.gem")
      example.run
    end
  end

  before do
    output, status = Bundler.with_unbundled_env { Open3.capture2e("gem", "build", "good_job_rs.gemspec", "--output", package, chdir: Project::ROOT) }
    expect(status).to be_success, output
  end

  it "carries what building and installing need, and nothing compiled" do
    files = Gem::Package.new(package).contents

    expect(files).to include("Cargo.toml", "Cargo.lock", "LICENSE.txt", "ext/Cargo.toml", "ext/core/Cargo.toml", "ext/0_toolchain/extconf.rb")
    expect(files).to include("exe/good_job", "migrations/001_create_good_jobs.up.sql", "lib/generators/good_job/templates/create_good_jobs.rb.tt")
    expect(files).to include(*Dir.glob("{ext/src,ext/core/src,ext/core/sql}/**/*.{rs,sql}", base: Project::ROOT))
    expect(files.grep(/\.(?:so|bundle)\z|target/)).to be_empty
  end

  it "installs with RubyGems' own Cargo builder, and its library answers in a new process", :slow do
    output, status = install(environment: unoptimized)
    expect(status).to be_success, output

    output, status = run(RbConfig.ruby, "-e", <<~'RUBY')
      require "good_job_rs"
      puts GoodJob::Native.parse_queues("mice:2").first.values_at(:name, :max_threads).inspect
      puts $LOADED_FEATURES.grep(/good_job_rs\.(?:so|bundle)\z/)
    RUBY

    expect(status).to be_success, output
    expect(output).to include '["mice", 2]'
    expect(output).to include File.join(home, "gems")
  end

  it "refuses to install without Rust, and says what to install" do
    output, status = install(environment: { "CARGO" => "/nowhere/cargo" })

    expect(status).not_to be_success
    expect(output).to include "needs Rust #{Toolchain::RUST_VERSION} or later; cargo was not found"
    expect(output).to include "rustup"
  end
end

RSpec.describe Toolchain do
  around do |example|
    variables = ENV.to_h
    ENV.delete_if { |name, _| [*Toolchain::LIBCLANG_VARIABLES, "CARGO"].include?(name) }
    example.run
  ensure
    ENV.replace(variables)
  end

  it "finds nothing missing here" do
    expect(Toolchain.problems).to be_empty
  end

  it "says which Rust is there when it is too old" do
    stub_const("Toolchain::RUST_VERSION", "1.999")

    expect(Toolchain.problems).to match [/needs Rust 1\.999 or later; this machine has 1\.\d+/]
  end

  it "says what to install when libclang is missing" do
    stub_const("Toolchain::LIBCLANG_PATTERN", "/nowhere/*")

    expect(Toolchain.problems).to match [/no libclang library was found.*libclang-dev/m]
  end

  it "believes who says where libclang is" do
    stub_const("Toolchain::LIBCLANG_PATTERN", "/nowhere/*")
    ENV["LIBCLANG_PATH"] = "/opt/llvm/lib"

    expect(Toolchain.problems).to be_empty
  end
end
