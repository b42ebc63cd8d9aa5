# frozen_string_literal: true

# A process that belongs to this one: it has a process group of its own, so that a Ctrl-C in the terminal is this process's to handle,
# and it does not outlive this process, however that ends. To be started from the main thread: Linux counts that thread's end.
class ChildProcess
  # Sends the child a KILL when its parent dies. Part of Linux only.
  GUARD = %w[setpriv --pdeathsig KILL].freeze

  SETTINGS = /\A(?:GOOD_JOB_|RAILS_|WEB_CONCURRENCY\z|LOG_LEVEL\z)/

  class << self
    # @return [Hash{String => nil}] for `environment`: what this shell happens to set for some application is not the child's
    def without_settings
      ENV.keys.grep(SETTINGS).to_h { |name| [name, nil] }
    end

    # @return [Array<String>]
    def guard
      @guard ||= system(*GUARD, "true", err: File::NULL) ? GUARD : [].freeze
    end
  end

  attr_reader :pid

  # @param command [Array<String>]
  # @param options [Hash] as for Process.spawn
  def initialize(*command, environment: {}, **options)
    @pid = Process.spawn(environment, *self.class.guard, *command, pgroup: true, **options)
    @waiter = Process.detach(@pid)
  end

  def alive?
    @waiter.alive?
  end

  def term
    signal(:TERM, @pid)
  end

  # Ends it and whatever it has started in its group, at once.
  def kill
    signal(:KILL, -@pid)
    @waiter.join
  end

  # @return [Process::Status, nil] nil: it still runs after `limit_seconds`
  def wait(limit_seconds)
    @waiter.join(limit_seconds)&.value
  end

  private

  def signal(name, target)
    Process.kill(name, target)
  rescue Errno::ESRCH
    nil
  end
end
