# frozen_string_literal: true

# As Passenger spawns processes in its smart way: loads the application once and forks a process for each worker, which it announces.
# Called as Passenger's own file, by which a preloader is known.
require "bundler/setup"
require "rack"
require "rack/mock"

module PhusionPassenger
  HANDLERS = Hash.new { |handlers, event| handlers[event] = [] }

  def self.on_event(event, &handler)
    HANDLERS[event] << handler
  end

  def self.call_event(event, *arguments)
    HANDLERS[event].each { |handler| handler.call(*arguments) }
  end
end

application = Array(Rack::Builder.parse_file("config.ru")).first

def work(application)
  PhusionPassenger.call_event(:starting_worker_process, true)
  trap("TERM") { exit }
  puts "served: #{Rack::MockRequest.new(application).post("/jobs").body}"
  Thread.stop
end

workers = Array.new(Integer(ARGV.fetch(0))) { fork { work(application) } }
trap("TERM") { workers.each { |pid| Process.kill(:TERM, pid) } }
puts "workers: #{workers.join(" ")}"
workers.each { |pid| puts "worker ended: #{Process.wait2(pid).last.exitstatus}" }
puts "preloader running: #{GoodJob.capsule.running?}"
