# frozen_string_literal: true

require "fileutils"
require "rbconfig"
require_relative "cargo"
require_relative "../ext/0_toolchain/toolchain"

# Every Ruby has its own build in the checkout, so that lanes do not take each other's.
library_directory = "lib/good_job_rs/#{RUBY_VERSION[/\d+\.\d+/]}"

desc "Build the extension into lib (PROFILE=release or dev)"
task :compile do
  problems = Toolchain.problems
  abort(problems.join("\n")) unless problems.empty?

  profile = ENV.fetch("PROFILE", "release")
  Cargo.run("build", "--locked", "--package", "good_job_rs", "--profile", profile)
  built = File.join(Cargo.target_directory, profile == "dev" ? "debug" : profile, "libgood_job_rs.#{RbConfig::CONFIG["SOEXT"]}")
  library = File.join(library_directory, "good_job_rs.#{RbConfig::CONFIG["DLEXT"]}")
  next if File.exist?(library) && FileUtils.identical?(built, library)

  # By renaming: a process that has the old file loaded keeps it.
  FileUtils.mkdir_p(library_directory)
  FileUtils.cp(built, "#{library}.new")
  File.rename("#{library}.new", library)
end
