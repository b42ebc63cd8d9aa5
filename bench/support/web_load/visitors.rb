# frozen_string_literal: true

# Visitors who ask for a page at even intervals, and print how long each answer took. One who has to wait for longer than an interval
# asks less often, as people do: a server that is too slow is not buried under requests, and how many it answered tells.

require "json"
require "net/http"

VISITORS = 4

port, per_second, seconds = ARGV.map { |argument| Integer(argument) }

now = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
interval_s = VISITORS / per_second.to_f
started = now.call

visitors = Array.new(VISITORS) do |place|
  Thread.new do
    Net::HTTP.start("127.0.0.1", port) do |http|
      times = []
      at = started + (place * interval_s / VISITORS)
      while at < started + seconds
        pause = at - now.call
        sleep pause if pause.positive?
        asked = now.call
        response = http.get("/")
        raise "the server said #{response.code}" unless response.is_a?(Net::HTTPOK)

        times << ((now.call - asked) * 1000)
        at += interval_s * [((now.call - at) / interval_s).ceil, 1].max
      end
      times
    end
  end
end

puts JSON.generate(visitors.flat_map(&:value))
