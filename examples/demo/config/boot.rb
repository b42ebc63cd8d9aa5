# frozen_string_literal: true

# The demo shares the gems of the checkout that it is part of. An application of your own has a Gemfile with `gem "good_job_rs"`.
ENV["BUNDLE_GEMFILE"] ||= File.expand_path("../../../Gemfile", __dir__)
require "bundler/setup"
