# frozen_string_literal: true

require_relative "integration"
require "active_support/test_case"
require "active_record/fixtures"
require "active_job/test_helper"

# A test of an application's suite, run in the specs' own process: Minitest, with the transaction around it that `rails test` has.
module ApplicationTest
  # @yield in the class of the test, which has one test and no name
  # @return [Minitest::Result] of a test that has passed and asserted something
  def run_application_test(&body)
    test_case = Class.new(ActiveSupport::TestCase) do
      include ActiveRecord::TestFixtures
      include Integration
      include WaitUntil

      class_eval(&body)
    end
    result = test_case.new(only_test_of(test_case)).run
    expect(result.failures.map { |failure| "#{failure.message}\n#{failure.location}" }).to eq []
    expect(result.assertions).to be_positive
    result
  end

  private

  def only_test_of(test_case)
    tests = test_case.public_instance_methods(false).grep(/\Atest_/)
    raise ArgumentError, "a test case with #{tests.size} tests" unless tests.one?

    tests.first
  end
end

RSpec.configure do |config|
  config.include ApplicationTest, :application_test
end
