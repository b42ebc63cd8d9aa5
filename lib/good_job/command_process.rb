# frozen_string_literal: true

require "English"

module GoodJob
  # The process of `good_job start`: one capsule, and the main thread waiting for signals and for what the runtime has to tell. It waits
  # in Ruby: waiting inside the library, it would not see signals on Ruby 3.1.
  class CommandProcess
    STOP_SIGNALS = %w[INT TERM].freeze
    EXIT_FAILURE = 1
    # How often to see whether it is idle.
    IDLE_TICK_S = 1

    # Ruby ends when all its threads have, those included that cannot be interrupted: one that waits in a library in C, or masks
    # interrupts. Their jobs have been given back by then. To be called before the application is loaded: of all at_exit blocks, the first
    # to be registered runs last.
    def self.end_in_any_case
      pid = ::Process.pid
      at_exit do
        error = $ERROR_INFO
        exit!(error.is_a?(SystemExit) ? error.status : EXIT_FAILURE) if ::Process.pid == pid && GoodJob.capsule.workers.any?(&:alive?)
      end
    end

    # @param configuration [Configuration]
    def initialize(configuration)
      @configuration = configuration
      @inbox = Thread::Queue.new
      @capsule = Capsule.new(configuration: configuration, observer: @inbox.method(:push))
      @ready = false
      @systemd = Systemd.new
    end

    # Runs until told to stop, by a signal or by somebody who shuts the capsule down.
    # @return [Integer] the exit status
    def run
      GoodJob.capsule = @capsule
      trap_signals
      @capsule.start
      @systemd.start
      @probe_server = start_probe_server
      watch_idleness if @configuration.idle_timeout
      status = nil
      status = handle(@inbox.pop) until status
      status
    ensure
      @probe_server&.stop
      @systemd.stop
    end

    private

    # A queue may be pushed to from a signal's handler; nothing else happens there.
    def trap_signals
      STOP_SIGNALS.each { |signal| trap(signal) { @inbox << { name: "stop" } } }
      trap("TSTP") { @inbox << { name: "quiet" } }
      trap("TTIN") { @inbox << { name: "backtraces" } }
    end

    # @return [Integer, nil] the exit status, when it is time
    def handle(message)
      case message[:name]
      when "ready" then @ready = true
      when "unavailable" then return give_up(message) unless @ready || @stopping
      when "stop" then stop
      when "quiet" then @capsule.drain
      when "tick" then stop if !@stopping && @capsule.idle?(@configuration.idle_timeout)
      when "backtraces" then print_backtraces
      when "stopped" then return 0
      end
      nil
    end

    # The database was never there: somebody has to do something. Later, the runtime waits for it to come back.
    def give_up(event)
      warn "GoodJob cannot start: #{event[:message]}\n#{event[:hint]}"
      @capsule.shutdown(timeout: 0)
      EXIT_FAILURE
    end

    def start_probe_server
      port, handler, app = %i[probe_port probe_handler probe_app].map { |name| @configuration.public_send(name) }
      ProbeServer.new(port: port, handler: handler, app: app).start if port
    rescue SystemCallError => e
      raise ArgumentError, "GoodJob: probe_port is #{port}, but nothing can listen there (#{e.message})."
    end

    def watch_idleness
      thread = Thread.new do
        loop do
          sleep IDLE_TICK_S
          @inbox << { name: "tick" }
        end
      end
      thread.name = "good_job idleness"
    end

    def stop
      exit!(EXIT_FAILURE) if @stopping
      @systemd.stopping
      @stopping = Thread.new do
        @capsule.shutdown
        @inbox << { name: "stopped" }
      end
    end

    def print_backtraces
      Thread.list.each do |thread|
        warn "#{thread.inspect}\n  #{Array(thread.backtrace).join("\n  ")}"
      end
    end
  end
end
