# frozen_string_literal: true

require_relative "support/host_app"

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

  it "is run with the benchmarks by what bin/test runs" do
    expect(Project.path("bin/test").read).to match(/^for check in .*\bsmoke\b/)
    expect(Project.path("rakelib/test.rake").read).to include('sh "bin/demo", "--once"', 'sh "bin/bench", "all", "--quick"')
  end
end
