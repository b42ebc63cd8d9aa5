# frozen_string_literal: true

class BearJob < DormouseJob
end
