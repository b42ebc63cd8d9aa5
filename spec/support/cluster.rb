# frozen_string_literal: true

require "English"
require "etc"
require "fileutils"
require "socket"
require "tmpdir"
require "uri"
require_relative "observed_process"
require_relative "postgres"

# A Postgres server of the specs' own, for what cannot be asked of one that others use: passwords and outages. The shared one is made
# when first needed, and gone with the specs.
class Cluster
  include WaitUntil

  PORTS = (10_000..19_000) # below those that the kernel gives to outgoing connections
  PROGRAMS = Dir["/usr/lib/postgresql/*/bin"].max_by { |path| path[/\d+/].to_i } || `pg_config --bindir`.chomp

  # Whose it is, where root may not be.
  OWNER = "postgres"

  SETTINGS = <<~CONF
    listen_addresses = '127.0.0.1'
    fsync = off
    shared_buffers = 16MB
  CONF

  # Everybody but the superuser needs a password.
  ACCESS = <<~CONF
    local all all trust
    host all postgres 127.0.0.1/32 trust
    host all all 127.0.0.1/32 scram-sha-256
  CONF

  # In a network that is the server's own.
  OPEN_ACCESS = <<~CONF
    local all all trust
    host all all all trust
  CONF

  # @return [Cluster] running
  def self.shared
    (@shared ||= new).tap(&:start)
  end

  # @param options [Hash] as of {#initialize}
  # @return [Cluster] an example's own, running
  def self.apart(**options)
    new(**options).tap { |cluster| (@apart ||= []) << cluster }.tap(&:start)
  end

  def self.remove_apart
    @apart&.pop&.remove until @apart.to_a.empty?
  end

  def self.remove
    remove_apart
    @shared&.remove
  end

  # @return [String] where the socket is, too
  attr_reader :directory
  attr_reader :port

  # @param within [Array<String>] a command that runs another one, in surroundings of its own
  # @param network [Boolean] whether these are a network of its own: it is then reached from there, and by its socket
  def initialize(within: [], network: false)
    @within = within
    @network = network
    @directory = Dir.mktmpdir("cluster")
    @port = PORTS.to_a.shuffle.find { |port| free?(port) }
    FileUtils.chown(account, nil, directory)
    initialize_data
  end

  # Twice is fine.
  def start
    return if @server&.alive?

    command = [*@within, *unprivileged("#{PROGRAMS}/postgres", "-D", data, "-p", port.to_s)]
    @server = ObservedProcess.new(*command, environment: {}, directory: directory)
    wait_until("the cluster to start") { ready? || @server.expect_alive }
  end

  # As a fast shutdown, sessions are terminated; as an immediate one (QUIT), they end without a word and the next start recovers.
  def stop(signal = :INT)
    @server.signal(signal)
    @server.wait
  end

  # @return [String] what the server has logged since its start
  def log
    @server.output
  end

  # @return [String] as superuser
  def url(database = "postgres")
    "postgres://postgres@#{@network ? URI.encode_www_form_component(directory) : "127.0.0.1"}:#{port}/#{database}"
  end

  # @return [String] as a user with a password
  def url_for(user, password, database)
    "postgres://#{user}:#{URI.encode_www_form_component(password).gsub("+", "%20")}@127.0.0.1:#{port}/#{database}"
  end

  # @return [String] a new name for a new database with the queue's tables
  def create_database
    name = "spec_#{@databases = @databases.to_i + 1}"
    Postgres.execute(url, "CREATE DATABASE #{name}")
    Postgres.migrate(url(name))
    name
  end

  def create_user(name, password)
    Postgres.execute(url, "DROP ROLE IF EXISTS #{name}")
    Postgres.execute(url, "CREATE ROLE #{name} LOGIN SUPERUSER PASSWORD '#{PG::Connection.escape_string(password)}'")
  end

  def remove
    @server&.remove
    FileUtils.remove_entry(directory)
  end

  # @return [Boolean] whether it takes connections
  def ready?
    PG.connect(url).close
    true
  rescue PG::ConnectionBad
    false
  end

  private

  def initialize_data
    initdb = ["#{PROGRAMS}/initdb", "--pgdata=#{data}", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    output = IO.popen(unprivileged(*initdb), chdir: directory, err: %i[child out], &:read)
    raise "initdb: #{output}" unless $CHILD_STATUS.success?

    everywhere = "listen_addresses = '*'\n" if @network
    File.write("#{data}/postgresql.auto.conf", "#{SETTINGS}#{everywhere}unix_socket_directories = '#{directory}'\n")
    File.write("#{data}/pg_hba.conf", @network ? OPEN_ACCESS : ACCESS)
  end

  def data
    "#{directory}/data"
  end

  # Postgres refuses to run as root. A guard set up before the change of user would be lost with it.
  def unprivileged(*command)
    return command unless Process.uid.zero?

    ["setpriv", "--reuid=#{account}", "--regid=#{Etc.getpwnam(account).gid}", "--clear-groups", "--pdeathsig", "KILL", *command]
  end

  def account
    Process.uid.zero? ? OWNER : Etc.getlogin
  end

  def free?(port)
    TCPServer.new("127.0.0.1", port).close
    true
  rescue SystemCallError
    false
  end
end

RSpec.configure { |config| config.after(:suite) { Cluster.remove } }
