# frozen_string_literal: true

desc "Build the gem into pkg"
task :package do
  mkdir_p "pkg"
  sh "gem", "build", "good_job_rs.gemspec", "--strict", "--output", "pkg/good_job_rs.gem"
end
