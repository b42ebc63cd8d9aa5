# frozen_string_literal: true

require "socket"
require "uri"

# Stands between clients and a server, and counts what passes. It can go silent as a network does: nothing passes any more, nothing
# is refused or closed, and nobody is told.
class Proxy
  # One client's connection. `:client` and `:server` say who sent something.
  class Connection
    CHUNK_BYTES = 64 * 1024

    # @return [Hash{Symbol => Integer}] bytes passed on, by who sent them
    attr_reader :bytes

    def initialize(client, server, silent)
      @sockets = { client: client, server: server }
      @bytes = { client: 0, server: 0 }
      @ended = []
      @silent = silent
      @mutex = Mutex.new
      @changed = ConditionVariable.new
      @pumps = [Thread.new { pump(:client, :server) }, Thread.new { pump(:server, :client) }]
    end

    # @param senders [Array<Symbol>] whose bytes pass no more, not even the end of their stream
    def silence(*senders)
      @mutex.synchronize { @silent = senders }
    end

    def resume
      @mutex.synchronize do
        @silent = []
        @changed.broadcast
      end
    end

    # @return [Array<Symbol>] who has ended it
    def ended
      @mutex.synchronize { @ended.dup }
    end

    # Ends it for both, whatever was on its way.
    def cut
      @pumps.each(&:kill)
      @sockets.each_value { |socket| socket.close unless socket.closed? }
    end

    private

    def pump(sender, receiver)
      loop do
        data = read(sender)
        @mutex.synchronize { @changed.wait(@mutex) while @silent.include?(sender) }
        return hang_up(sender, receiver) unless data

        @sockets.fetch(receiver).write(data)
        @bytes[sender] += data.bytesize
      end
    rescue SystemCallError, IOError
      nil
    end

    def read(sender)
      @sockets.fetch(sender).readpartial(CHUNK_BYTES)
    rescue SystemCallError, EOFError
      nil
    end

    def hang_up(sender, receiver)
      @mutex.synchronize { @ended << sender }
      @sockets.fetch(receiver).close_write
    end
  end

  # @param port [Integer] of the server
  def initialize(port)
    @upstream = port
    @server = TCPServer.new("127.0.0.1", 0)
    @connections = []
    @forgotten = []
    @silent = []
    @mutex = Mutex.new
    @thread = Thread.new { loop { accept } }
  end

  # @return [Array<Connection>] in the order in which they were made
  def connections
    @mutex.synchronize { @connections.dup }
  end

  # @param url [String] of the server
  # @return [String] the way there by this proxy
  def url(url)
    URI(url).tap { |uri| uri.port = @server.addr[1] }.to_s
  end

  # Of all connections, and of those that are still to be made.
  def silence(*senders)
    @silent = senders
    connections.each { |connection| connection.silence(*senders) }
  end

  def resume
    @silent = []
    connections.each(&:resume)
  end

  # As a firewall that was started anew: the connections that there are stay silent for ever, new ones pass.
  def forget
    silence(:client, :server)
    @silent = []
    @mutex.synchronize { @forgotten.concat(@connections.slice!(0..)) }
  end

  # Ends the connections that there are.
  def cut
    connections.each(&:cut)
  end

  # Ends those that were silent for ever.
  def cut_forgotten
    @mutex.synchronize { @forgotten.dup }.each(&:cut)
  end

  def remove
    @thread.kill
    @server.close
    (connections + @forgotten).each(&:cut)
  end

  private

  def accept
    client = @server.accept
    connection = Connection.new(client, TCPSocket.new("127.0.0.1", @upstream), @silent)
    @mutex.synchronize { @connections << connection }
  rescue Errno::ECONNREFUSED
    client.close
  end
end
