# frozen_string_literal: true

require "English"
require_relative "observed_process"

# A network of a server and some islands, each with one wire to the server, by which it can be cut off. All are network namespaces, so
# that nothing else on this machine is touched, and are gone with the processes that hold them. Making them takes Linux, root and `ip`.
class Network
  include WaitUntil

  PREFIX_LENGTH = 24
  NOBODY = "02:00:00:00:00:00"

  # What is one host, as far as the kernel's network goes.
  class Host
    include WaitUntil

    def initialize
      @holder = ObservedProcess.new("unshare", "--net", "sleep", "infinity", environment: {}, directory: "/")
      wait_until("the namespace") { File.readlink(namespace) != File.readlink("/proc/self/ns/net") || @holder.expect_alive }
      ip("link", "set", "lo", "up")
    end

    # @return [Array<String>] a command that runs another one there
    def entrance
      ["nsenter", "--net=#{namespace}", "--"]
    end

    def ip(*arguments)
      output = IO.popen([*entrance, "ip", *arguments], err: %i[child out], &:read)
      raise "ip #{arguments.join(" ")}: #{output}" unless $CHILD_STATUS.success?
    end

    def pid
      @holder.pid
    end

    def remove
      @holder.remove
    end

    private

    def namespace
      "/proc/#{pid}/ns/net"
    end
  end

  # A host that reaches the server, and nobody else.
  class Island < Host
    # @return [String] the server's address from here
    attr_reader :server_address

    # @param number [Integer] among the islands
    def initialize(server, number)
      super()
      @server = server
      @wire = "wire#{number}"
      @server_address = "10.0.#{number}.1"
      @address = "10.0.#{number}.2"
      lay_wire
    end

    # What is sent, in both directions, arrives nowhere, and nobody is told: it is addressed to a card that does not exist.
    def lose_packets
      ip("neigh", "replace", @server_address, "lladdr", NOBODY, "dev", @wire, "nud", "permanent")
      @server.ip("neigh", "replace", @address, "lladdr", NOBODY, "dev", @wire, "nud", "permanent")
    end

    # The wire is out of its socket: there is no way to anybody.
    def unplug
      ip("link", "set", @wire, "down")
    end

    def mend
      ip("neigh", "flush", "dev", @wire, "nud", "permanent")
      @server.ip("neigh", "flush", "dev", @wire, "nud", "permanent")
      ip("link", "set", @wire, "up")
    end

    private

    def lay_wire
      @server.ip("link", "add", @wire, "type", "veth", "peer", "name", @wire, "netns", pid.to_s)
      { @server => @server_address, self => @address }.each do |host, address|
        host.ip("address", "add", "#{address}/#{PREFIX_LENGTH}", "dev", @wire)
        host.ip("link", "set", @wire, "up")
      end
    end
  end

  # @return [String, nil] why there can be none here
  def self.obstacle
    command = %w[unshare --net ip link add here type veth peer name there]
    "making network namespaces takes Linux, root and `ip`, of iproute2" unless system(*command, out: File::NULL, err: File::NULL)
  end

  # @return [Host]
  attr_reader :server

  def initialize
    @server = Host.new
    @islands = []
  end

  # @return [Island] a new one
  def island
    Island.new(server, @islands.size).tap { |island| @islands << island }
  end

  def remove
    [*@islands, server].each(&:remove)
  end
end
