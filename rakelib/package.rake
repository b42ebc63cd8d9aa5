# frozen_string_literal: true

require_relative "../lib/good_job/version"

desc "Build the gem into pkg"
task :package do
  mkdir_p "pkg"
  sh "gem", "build", "good_job_rs.gemspec", "--output", "pkg/good_job_rs-#{GoodJob::VERSION}.gem"
end
