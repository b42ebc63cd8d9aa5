# frozen_string_literal: true

require "socket"
require "good_job/probe_server/healthcheck_middleware"
require "good_job/probe_server/not_found_app"

module GoodJob
  # A small HTTP server for probes of whoever runs the process: whether it lives, has started, is connected. It reads a request's first
  # line and answers; one request at a time.
  class ProbeServer
    HOST = "0.0.0.0"
    # Longest first line, in bytes, and longest wait for it.
    LINE_BYTES_MAX = 8_192
    READ_TIMEOUT_S = 5
    STATUS_TEXTS = { 200 => "OK", 404 => "Not Found", 503 => "Service Unavailable" }.freeze

    # @return [#call] a Rack application
    def self.default_app
      HealthcheckMiddleware.new(NotFoundApp)
    end

    # @param port [Integer]
    # @param handler [String, Symbol, nil] "webrick" serves with WEBrick, if it is installed; nil: by itself
    # @param app [#call, nil] a Rack application instead of the default one
    def initialize(port:, handler: nil, app: nil)
      @port = port
      @handler = handler
      @app = app || self.class.default_app
    end

    # @return [self]
    # @raise [SystemCallError] the port cannot be had
    def start
      @server = webrick || TCPServer.new(HOST, @port)
      @thread = Thread.new { @server.is_a?(TCPServer) ? serve : @server.start }
      @thread.name = "good_job probe"
      self
    end

    # @return [Boolean]
    def running?
      @thread&.alive? ? true : false
    end

    # Twice is fine.
    def stop
      @server.is_a?(TCPServer) ? @server.close : @server&.shutdown
      @thread&.join
      @thread = @server = nil
    rescue IOError
      nil
    end

    # @return [Integer, nil] which it has got, where 0 was asked for
    def port
      @server.is_a?(TCPServer) ? @server.addr[1] : @server&.config&.fetch(:Port)
    end

    private

    def serve
      loop do
        socket = @server.accept
        respond(socket)
      ensure
        socket&.close
      end
    rescue IOError, Errno::EBADF
      nil # closed by stop
    end

    def respond(socket)
      verb, target = request_line(socket).split
      return unless target

      status, headers, body = call(verb, target)
      text = body.each.to_a.join
      body.close if body.respond_to?(:close)
      lines = ["HTTP/1.1 #{status} #{STATUS_TEXTS[status]}".strip, *headers.map { |name, value| "#{name}: #{value}" }]
      lines << "Content-Length: #{text.bytesize}" << "Connection: close"
      socket.write("#{lines.join("\r\n")}\r\n\r\n#{text unless verb == "HEAD"}")
    rescue SystemCallError, IOError
      nil # the other end has gone
    end

    def request_line(socket)
      socket.wait_readable(READ_TIMEOUT_S) ? socket.gets("\n", LINE_BYTES_MAX).to_s : ""
    end

    def call(verb, target)
      path, query = target.split("?", 2)
      @app.call({ "REQUEST_METHOD" => verb, "PATH_INFO" => path, "QUERY_STRING" => query.to_s, "SCRIPT_NAME" => "", "SERVER_NAME" => HOST,
                  "SERVER_PORT" => @port.to_s, "rack.url_scheme" => "http", "rack.errors" => $stderr })
    rescue StandardError => e
      GoodJob.report_error(e)
      [503, {}, [e.class.name]]
    end

    # @return [WEBrick::HTTPServer, nil] nil: not asked for, or not there
    def webrick
      return unless @handler.to_s == "webrick"

      require "webrick"
      server = WEBrick::HTTPServer.new(Port: @port, BindAddress: HOST, Logger: WEBrick::Log.new(File::NULL), AccessLog: [])
      server.mount_proc("/") { |request, response| fill(response, @app.call(environment(request))) }
      server
    rescue LoadError
      LogSubscriber.log(:warn, "WEBrick is not installed; the probes are served without it.")
      nil
    end

    def environment(request)
      request.meta_vars.merge("PATH_INFO" => request.path, "rack.url_scheme" => "http", "rack.errors" => $stderr)
    end

    def fill(response, answer)
      response.status, headers, body = answer
      headers.each { |name, value| response[name] = value }
      response.body = body.each.to_a.join
    end
  end
end
