# frozen_string_literal: true

desc "Run every benchmark (bin/bench --help for single ones)"
task bench: :compile do
  sh "bin/bench", "all"
end
