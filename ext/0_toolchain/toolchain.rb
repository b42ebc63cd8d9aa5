# frozen_string_literal: true

# What building the extension needs, and what to say where it is missing. Plain Ruby: it runs in `gem install`, before anything is built.
module Toolchain
  RUST_VERSION = File.read(File.expand_path("../../Cargo.toml", __dir__))[/^rust-version = "(.+)"/, 1]

  # Where bindgen's loader looks for libclang on Linux, beside what its variables name.
  LIBCLANG_PATTERN = "{/usr/local/llvm*/lib*,/usr/local/lib*{,/*,/*/*},/usr/lib*{,/*,/*/*}}/libclang{,-*}.so{,.*}"
  LIBCLANG_VARIABLES = %w[LIBCLANG_PATH LLVM_CONFIG_PATH LD_LIBRARY_PATH LIBRARY_PATH].freeze

  module_function

  # @return [Array<String>] one paragraph for each thing missing
  def problems
    [rust_problem, libclang_problem].compact
  end

  def rust_problem
    found = rust_version
    return if found && Gem::Version.new(found) >= Gem::Version.new(RUST_VERSION)

    <<~TEXT
      good_job_rs is built from Rust source and needs Rust #{RUST_VERSION} or later; #{found ? "this machine has #{found}" : "cargo was not found"}.
      Install it with the Rust project's installer, rustup, and put its programs into PATH (~/.cargo/bin).
    TEXT
  end

  def libclang_problem
    # Elsewhere the loader asks the system's own tools where it is; only it can tell.
    return unless RUBY_PLATFORM.include?("linux")
    return if LIBCLANG_VARIABLES.any? { |name| ENV.key?(name) } || Dir.glob(LIBCLANG_PATTERN).any?

    <<~TEXT
      good_job_rs needs libclang to read Ruby's headers while it is built; no libclang library was found.
      Install it (Debian and Ubuntu: libclang-dev, Fedora: clang-devel, Alpine: clang-dev), or set LIBCLANG_PATH to its directory.
    TEXT
  end

  def rust_version
    `#{ENV.fetch("CARGO", "cargo")} --version`[/\d+\.\d+\.\d+/]
  rescue SystemCallError
    nil
  end
end
