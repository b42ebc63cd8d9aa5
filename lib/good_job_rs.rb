# frozen_string_literal: true

# What Bundler requires for `gem "good_job_rs"`.
require "good_job"
