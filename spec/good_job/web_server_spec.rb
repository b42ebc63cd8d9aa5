# frozen_string_literal: true

require "good_job"

RSpec.describe GoodJob::WebServer do
  def stack(*frames)
    locations = frames.map do |frame|
      path, label = frame.split(":")
      instance_double(Thread::Backtrace::Location, path: "/gems/#{path}", base_label: label)
    end
    described_class::CallStack.new(locations)
  end

  {
    "the master of a Puma cluster" => [["config.ru", "puma/configuration.rb", "puma/cluster.rb"], true],
    "a worker of a Puma cluster" => [["config.ru", "puma/configuration.rb", "puma/cluster/worker.rb", "puma/cluster.rb"], false],
    "Puma without workers" => [["config.ru", "puma/configuration.rb", "puma/single.rb"], false],
    "Unicorn's master" => [["config.ru", "unicorn/http_server.rb:start"], true],
    "a worker of Unicorn" => [["config.ru", "unicorn/http_server.rb:worker_loop"], false],
    "Passenger's preloader" => [["config.ru", "passenger/rack-preloader.rb"], true],
    "the Spring server" => [["config/application.rb", "spring/application.rb"], true],
    "a console" => [["config/environment.rb", "rails/commands.rb"], false]
  }.each do |process, (frames, preloading)|
    it "knows that #{process} #{preloading ? "loads the application for others" : "loads the application for itself"}" do
      expect(stack(*frames).preloading?).to be preloading
    end
  end

  it "takes any process that config.ru is loaded in for a server" do
    expect(stack("config.ru", "falcon/command/serve.rb").server?).to be true
    expect(stack("config/environment.rb").server?).to be false
  end

  describe "around?" do
    after { described_class.instance_variables.each { |name| described_class.remove_instance_variable(name) } }

    it "knows a web server by what loads the application or answers a request, and remembers that" do
      expect(described_class.around?(stack("config/environment.rb", "rails/commands.rb"))).to be false
      expect(described_class.around?(stack("puma/thread_pool.rb", "puma/request.rb"))).to be true
      expect(described_class.around?(stack("config/environment.rb"))).to be true
    end

    it "knows a request by either of Puma's files from which it calls the application" do
      files = %w[puma/request.rb puma/response.rb puma/reactor.rb]
      expect(files.map { |file| stack("puma/thread_pool.rb", file).request? }).to eq [true, true, false]
    end

    it "knows one that loads the application, and one that has begun to serve" do
      expect(described_class.around?(stack("config.ru", "puma/cluster.rb"))).to be true
      described_class.remove_instance_variable(:@around)
      allow(GoodJob::Async).to receive(:start)
      described_class.serve
      expect(described_class.around?(stack("lib/good_job/cron.rb"))).to be true
    end
  end

  describe "watching" do
    before { allow(GoodJob::Async).to receive(:start) }

    after { described_class.instance_variables.each { |name| described_class.remove_instance_variable(name) } }

    it "takes the process that loads the application for the one that serves, with a server that announces nothing" do
      hide_const("Puma")
      described_class.watch(stack("config.ru", "falcon/command/serve.rb"))
      expect(described_class.serving?).to be true
    end

    it "waits for Unicorn's workers, and knows a worker that loads the application itself" do
      hide_const("Puma")
      server = Class.new { private def worker_loop(worker) = worker }
      stub_const("Unicorn::HttpServer", server)

      described_class.watch(stack("config.ru", "unicorn/http_server.rb:start"))
      expect(described_class.serving?).to be false
      expect(server.new.send(:worker_loop, 1)).to eq 1
      expect(described_class.serving?).to be true
    end

    it "waits for Passenger's event" do
      hide_const("Puma")
      blocks = []
      stub_const("PhusionPassenger", Module.new do
                                       define_singleton_method(:on_event) do |name, &block|
                                         blocks << block if name == :starting_worker_process
                                       end
                                     end)

      described_class.watch(stack("config.ru", "passenger/rack-preloader.rb"))
      expect(described_class).to have_attributes(serving?: false, preloading?: true)
      blocks.each { |block| block.call(true) }
      expect(described_class.serving?).to be true
    end

    it "does not hold for a process forked from the one that serves" do
      described_class.serve
      reader, writer = IO.pipe
      Process.wait(fork { writer.write(described_class.serving?.to_s) && exit!(0) })
      writer.close
      expect(reader.read).to eq "false"
    end
  end

  it "starts with Puma's own application, and not with its control application or a plugin's" do
    require "puma"
    require "puma/configuration"
    application = Puma::Configuration.new { |config| config.app(->(_env) { [200, {}, []] }) }.tap(&:load).app
    expect(described_class.application?(application)).to be true
    expect(described_class.application?(->(_env) { [200, {}, []] })).to be false
  end
end
