# frozen_string_literal: true

# As Spring does: loads the application once, and runs each command in a process that is forked from it. Called as Spring's own file, by
# which a preloader is known. The commands are the arguments; the preloader waits until its latch is opened.
require "bundler/setup"
require File.join(Dir.pwd, "config/environment")
require "wait_until"
include WaitUntil # rubocop:disable Style/MixinUsage -- for commands

puts "preloader #{Process.pid} has #{Dir["/proc/self/task/*/comm"].count { |file| File.read(file).match?(/good_job/) }} threads of GoodJob"
commands = ARGV.map do |command|
  fork { eval(command) } # rubocop:disable Security/Eval -- what it is for
end
commands.each { |pid| puts "command ended: #{Process.wait2(pid).last.exitstatus}" }
puts "preloader running: #{GoodJob.capsule.running?}"
