# frozen_string_literal: true

# Holds Ruby's global lock until somebody writes into its pipe: reads by libc, and does not let Ruby give the lock up meanwhile, as
# extensions in C do that never heard of it.
class SelfishJob < ActiveJob::Base
  def perform(pipe)
    read
    SpecRun.record(self, "started")
    # Opened for writing as well, so that opening it does not wait.
    File.open(pipe, "r+") do |file|
      buffer = Fiddle::Pointer.malloc(1, Fiddle::RUBY_FREE)
      nil until read.call(file.fileno, buffer, 1) == 1
    end
    SpecRun.record(self, "finished")
  end

  private

  # Not with the file, which every example loads: after Ruby 3.4, Fiddle is a gem that an application has or has not.
  def read
    @read ||= begin
      require "fiddle"
      arguments = [Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP, Fiddle::TYPE_SIZE_T]
      Fiddle::Function.new(Fiddle::Handle::DEFAULT["read"], arguments, Fiddle::TYPE_SSIZE_T, need_gvl: true)
    end
  end
end
