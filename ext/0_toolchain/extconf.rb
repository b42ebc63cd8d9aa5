# frozen_string_literal: true

# The first of the gem's two extensions builds nothing: it refuses with a sentence where the second, the crate, would fail with
# a page of the compiler's.
require_relative "toolchain"

problems = Toolchain.problems
abort(problems.join("\n")) unless problems.empty?

File.write("Makefile", "all clean install:\n\t@:\n")
