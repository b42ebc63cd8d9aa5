# frozen_string_literal: true

require "fileutils"

module GoodJob
  # Puts the command into the background, and keeps a file with its process id.
  class Daemon
    # It cannot: the message says why.
    class Refused < Error; end

    # @param pidfile [String, Pathname]
    def initialize(pidfile:)
      @pidfile = pidfile.to_s
    end

    # From here on this is another process, in the same directory.
    # @raise [Refused] it runs already, or there is no place for the file
    def daemonize
      check_directory
      check_running
      ::Process.daemon(true)
      write
    end

    private

    def check_directory
      directory = File.dirname(@pidfile)
      return if File.directory?(directory) && File.writable?(directory)

      raise Refused, "the pidfile #{@pidfile} cannot be written: there is no directory #{directory} that may be written to"
    end

    def check_running
      pid = Integer(File.read(@pidfile), 10, exception: false)
      return unless pid&.positive? && alive?(pid)

      raise Refused, "it is running already, as process #{pid} (#{@pidfile})"
    rescue Errno::ENOENT
      nil
    end

    def alive?(pid)
      ::Process.kill(0, pid)
      true
    rescue Errno::EPERM
      true
    rescue Errno::ESRCH
      false
    end

    # One that was left behind belongs to a process that is gone.
    def write
      pid = ::Process.pid
      FileUtils.rm_f(@pidfile)
      File.open(@pidfile, File::CREAT | File::EXCL | File::WRONLY, 0o644) { |file| file.write(pid.to_s) }
      at_exit { FileUtils.rm_f(@pidfile) if ::Process.pid == pid }
    end
  end
end
