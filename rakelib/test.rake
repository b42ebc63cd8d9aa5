# frozen_string_literal: true

require_relative "cargo"
require_relative "specs"

desc "Run the Rust tests"
task :cargo do
  Cargo.run("test", "--workspace", "--locked", env: { "DATABASE_URL" => `bin/postgres start`.chomp })
end

desc "Run the specs, in as many processes as there are CPUs (SPEC_OPTS for RSpec's options)"
task spec: :compile do
  abort unless Specs.run(Specs.files, Etc.nprocessors)
end

desc "Check layers, places and documents"
task :tidy do
  sh "rspec", "spec/tidy_spec.rb"
end

desc "Run the demo and the benchmarks once, shortly"
task smoke: :compile do
  sh "bin/demo", "--once"
  sh({ "ENGINE_PROFILE" => "dev" }, "bin/bench", "all", "--quick")
end
