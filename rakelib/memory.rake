# frozen_string_literal: true

require_relative "memcheck"

namespace :spec do
  desc "Run the specs of the boundary with a garbage collector that runs and moves all the time"
  task gc_stress: :compile do
    sh({ "GC_STRESS" => "1" }, "rspec", "spec/integration/boundary_spec.rb")
  end

  desc "Run the boundary under valgrind (EXAMPLES=text for other examples)"
  task :memcheck do
    abort "valgrind is not installed: apt-get install valgrind" unless Memcheck.possible?

    Memcheck.build
    Memcheck.run
    faults = Memcheck.faults
    abort ["valgrind found #{faults.size} faults that pass through the library:", *faults].join("\n\n") if faults.any?
  end
end
