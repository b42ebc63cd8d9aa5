# frozen_string_literal: true

module GoodJob
  # @deprecated the name that {Execution} had
  DiscreteExecution = Execution
end
