# frozen_string_literal: true

require "socket"

module GoodJob
  # Tells systemd how the process is doing (sd_notify): ready, stopping, and regularly that it is alive, where the unit asks for that.
  class Systemd
    # @param env [#[]] NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, as systemd sets them
    def initialize(env = ENV)
      @socket = env["NOTIFY_SOCKET"].to_s
      @watchdog_us = env["WATCHDOG_USEC"].to_i
      @watchdog_pid = env["WATCHDOG_PID"].to_s
    end

    # The process is ready; from now on the watchdog is told, too.
    def start
      return unless notify?

      tell("READY=1")
      start_watchdog if watchdog?
    end

    # The process begins to end.
    def stopping
      tell("STOPPING=1") if notify?
    end

    # Ends the watchdog.
    def stop
      @watchdog&.kill
      @watchdog&.join
      @watchdog = nil
    end

    # @return [Boolean] whether systemd wants to know
    def notify?
      !@socket.empty?
    end

    # @return [Boolean] whether it wants to know regularly, of this process
    def watchdog?
      notify? && @watchdog_us.positive? && (@watchdog_pid.empty? || @watchdog_pid == ::Process.pid.to_s)
    end

    private

    # Twice in each interval: one that comes late is no alarm.
    def start_watchdog
      interval = @watchdog_us / 2_000_000.0
      Events.tell("systemd_watchdog_start.good_job", { interval: interval })
      @watchdog = Thread.new do
        loop do
          tell("WATCHDOG=1")
          sleep interval
        end
      end
      @watchdog.name = "good_job systemd"
    end

    # A path, or, with "@", a name of Linux' abstract namespace.
    def tell(state)
      path = @socket.sub(/\A@/, "\0")
      socket = Socket.new(:UNIX, :DGRAM)
      socket.connect(Socket.pack_sockaddr_un(path))
      socket.send(state, 0)
    rescue SystemCallError => e
      Events.tell("systemd_watchdog_error.good_job", { error: e })
    ensure
      socket&.close
    end
  end
end
