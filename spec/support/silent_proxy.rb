# frozen_string_literal: true

require "socket"
require "uri"

# Stands between a process and Postgres and can go silent: connections stay open on both sides, and nothing passes any more, as where a
# host is cut off or packets are dropped.
class SilentProxy
  CHUNK_BYTES = 16_384

  # @param url [String] the database's
  def initialize(url)
    @target = URI(url)
    @server = TCPServer.new("127.0.0.1", 0)
    @mutex = Mutex.new
    @speaking = ConditionVariable.new
    @sockets = []
    @threads = [Thread.new { accept }]
  end

  # @return [String] the database's url, through the proxy
  def url
    url = @target.dup
    url.host = "127.0.0.1"
    url.port = @server.addr[1]
    url.to_s
  end

  # From now on nothing passes.
  def fall_silent
    @mutex.synchronize { @silent = true }
  end

  # What was held back passes, and whatever comes.
  def speak
    @mutex.synchronize do
      @silent = false
      @speaking.broadcast
    end
  end

  def remove
    @threads.each(&:kill).each(&:join)
    [@server, *@sockets].each(&:close)
  end

  private

  def accept
    loop do
      client = @server.accept
      wait_until_speaking
      server = TCPSocket.new(@target.host, @target.port)
      @sockets.push(client, server)
      @threads.push(Thread.new { pump(client, server) }, Thread.new { pump(server, client) })
    end
  end

  def pump(from, to)
    loop do
      bytes = from.readpartial(CHUNK_BYTES)
      wait_until_speaking
      to.write(bytes)
    end
  rescue EOFError, SystemCallError
    wait_until_speaking
    [from, to].each { |socket| socket.shutdown rescue nil } # rubocop:disable Style/RescueModifier -- the other pump may have done it
  end

  def wait_until_speaking
    @mutex.synchronize { @speaking.wait(@mutex) while @silent }
  end
end
