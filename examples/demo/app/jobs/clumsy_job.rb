# frozen_string_literal: true

# Something goes wrong, each time in another way.
class ClumsyJob < RingJob
  class Slipped < StandardError; end
  class Fell < StandardError; end
  class Bruised < StandardError; end

  retry_on Slipped, wait: 0, attempts: 2
  discard_on Fell
  rescue_from(Bruised) { |error| note("nursed: #{error.message}") }

  def perform(what)
    raise ClumsyJob.const_get(what), "the third step" unless what == "Slipped" && executions == 2
  end
end
