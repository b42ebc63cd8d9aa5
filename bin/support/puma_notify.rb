# frozen_string_literal: true

# A second configuration file for Puma, beside the application's own, for processes that must end when they are told to.
#
# Puma up to 7 now and then waits for ever at its end (puma/puma issue 3677): whoever stops it writes into a pipe which the server's
# thread then closes, and if it does so while the write is still on its way out, Ruby's IO#close never returns. That takes no jobs and
# no GoodJob. A write that never lets go of Ruby's lock cannot be overtaken.

require "puma/server"

Puma::Server.prepend(
  Module.new do
    private

    def notify_safely(message)
      @notify&.write_nonblock(message)
    rescue IOError, SystemCallError
      nil
    end
  end
)
