# frozen_string_literal: true

module GoodJob
  # The gem's version; the crates carry the same one.
  VERSION = "0.1.0"
end
