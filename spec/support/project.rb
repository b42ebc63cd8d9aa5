# frozen_string_literal: true

require "pathname"

# The checkout under test.
module Project
  ROOT = Pathname(__dir__).join("../..").expand_path

  def self.path(relative)
    ROOT.join(relative)
  end
end
