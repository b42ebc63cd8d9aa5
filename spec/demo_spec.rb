# frozen_string_literal: true

require "good_job"
require_relative "support/host_app"
require_relative "../bin/support/show/cast"
require_relative "../bin/support/show/summary"

RSpec.describe "The demo" do
  after { app.remove }

  let(:app) { HostApp.new(databases: { primary: "postgres" }) }

  def migration(text)
    text.sub(/Migration\[[\d.]+\]/, "Migration[]")
  end

  it "has the migration that good_job:install writes" do
    app.rails "generate", "good_job:install"

    demo = Project.path("examples/demo").glob("db/migrate/*_create_good_jobs.rb").map(&:read)
    written = app.files("db/migrate/*_create_good_jobs.rb").map { |path| app.read(path) }

    expect(demo.map { |text| migration(text) }).to eq(written.map { |text| migration(text) })
  end

  it "shows every extension for jobs that there is" do
    jobs = Project.path("examples/demo/app/jobs").glob("*.rb").map(&:read).join
    expect(GoodJob::ActiveJobExtensions.constants.reject { |name| jobs.include?("include GoodJob::ActiveJobExtensions::#{name}\n") }).to be_empty
  end

  it "has every act on its programme" do
    acts = Project.path("bin/support/show/acts").glob("*.rb").map { |file| file.basename(".rb").to_s }
    expect(Show::Cast::NAMES).to match_array acts
  end

  it "says what an act has not come to, and counts it as a fault" do
    stub_const("Show::Cast::NAMES", %w[pools])
    allow_any_instance_of(Show::Acts::Pools).to receive(:checks).and_return("both" => true, "only" => false)
    cast = Show::Cast.new(nil)
    expect(cast.faults).to eq ["Pools: only"]
    expect { Show::Summary.new(nil, nil, [], stampede_s: nil).print_acts(cast.checks) }.to output(/^Pools +NO, not so: only$/).to_stdout
  end

  it "is run with the benchmarks by what bin/test runs" do
    expect(Project.path("bin/test").read).to match(/^for check in .*\bsmoke\b/)
    expect(Project.path("rakelib/test.rake").read).to include('"bin/demo", "--once"', '"bin/bench", "all", "--quick"')
  end
end
