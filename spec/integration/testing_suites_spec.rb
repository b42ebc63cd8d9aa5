# frozen_string_literal: true

require_relative "../support/host_app"
require_relative "../support/postgres"

# What docs/testing.md says of suites that need processes of their own: `rails test` in an application of its own, which serves itself on
# threads as system tests do, or in several processes at once.
RSpec.describe "An application's suite" do
  database = "good_job_rs_suite_#{Process.pid}"

  before(:context) do
    Postgres.create(database, tables: false)
    frameworks = %w[active_record/railtie active_job/railtie action_controller/railtie rails/test_unit/railtie puma]
    configuration = "config.active_job.queue_adapter = :good_job\nconfig.active_job.logger = Logger.new(nil)"
    @app = HostApp.new(databases: { primary: database }, frameworks: frameworks, configuration: configuration)
    @app.rails "generate", "good_job:install"
    @app.rails "db:migrate"
    @app.write "config/routes.rb", <<~RUBY
      Rails.application.routes.draw { post "/jobs", to: ->(_env) { [201, {}, [NoteJob.perform_later.job_id]] } }
    RUBY
    @app.write "test/test_helper.rb", <<~RUBY
      require_relative "../config/environment"
      require "rails/test_help"
      require "net/http"
      require "puma/server"
      require #{Project.path("bin/support/puma_notify").to_s.inspect}
      require #{Project.path("spec/support/wait_until").to_s.inspect}

      # Notes where it runs.
      class NoteJob < ActiveJob::Base
        NOTES = Queue.new

        def perform
          NOTES << Thread.current.name.to_s
        end
      end

      # Beside the tests' own threads, as Capybara starts it.
      module SuiteHelpers
        def post_job
          server = Puma::Server.new(Rails.application)
          port = server.add_tcp_listener("127.0.0.1", 0).addr[1]
          server.run
          Net::HTTP.post(URI("http://127.0.0.1:\#{port}/jobs"), "").body
        ensure
          server.stop(true)
        end

        # On a connection that is none of the test's.
        def enqueue_outside
          job = NoteJob.new
          values = [job.job_id, job.serialize.to_json, { queue_name: "default" }.to_json]
          PG.connect(#{Postgres.url(database).inspect}).exec_params(<<~SQL, values)
            WITH job AS (
              INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
              VALUES ($1::uuid, $1::uuid, 'NoteJob', 'default', 0, $2::text::jsonb, now() AT TIME ZONE 'UTC', now(), now()) RETURNING id
            )
            SELECT pg_notify('good_job', $3::text) FROM job
          SQL
          job.job_id
        end
      end

      class ActiveSupport::TestCase
        include WaitUntil
        include SuiteHelpers
      end
    RUBY
  end

  before { Postgres.execute(Postgres.url(database), "DELETE FROM good_jobs") }

  after(:context) do
    @app.remove
    [database, "#{database}-0", "#{database}-1"].each { |name| Postgres.drop(name) }
  end

  # @param tests [String] the body of a test case
  # @return [String] what `rails test` said of so many tests, all of which passed
  def run_suite(tests, count: 1, **env)
    @app.write "test/host_test.rb", "require_relative \"test_helper\"\nclass HostTest < ActiveSupport::TestCase\n#{tests}end\n"
    said = @app.rails "test", "test/host_test.rb", env: env.transform_keys(&:to_s)
    expect(said).to match(/^#{count} runs, [1-9]\d* assertions, 0 failures, 0 errors, 0 skips$/)
    said
  end

  define_method(:job_count) do
    Postgres.execute(Postgres.url(database), "SELECT count(*) FROM good_jobs").first.fetch("count")
  end

  it "runs jobs inline in the request, on the connection that test and server share, and leaves nothing" do
    run_suite(<<~RUBY)
      test "runs" do
        job = GoodJob::Job.find(post_job)
        assert job.succeeded?
        assert_equal 1, NoteJob::NOTES.size
        assert ActiveRecord::Base.connection.transaction_open?
      end
    RUBY
    expect(job_count).to eq "0"
  end

  it "has with async a capsule as soon as it serves, which sees nothing of an open transaction: perform_inline does" do
    run_suite(<<~RUBY, GOOD_JOB_EXECUTION_MODE: "async")
      test "waits" do
        job = GoodJob::Job.find(post_job)
        assert GoodJob.capsule.running?
        committed = enqueue_outside
        # Rails answers a question that a test repeats from its query cache.
        wait_until("what has been committed to run") { GoodJob::Job.uncached { GoodJob::Job.find_by(id: committed)&.finished? } }
        assert_equal :queued, job.reload.status
        assert_equal 1, GoodJob.perform_inline
        assert job.reload.succeeded?
      end
    RUBY
    expect(job_count).to eq "1" # what was committed
  end

  it "runs jobs with async on the capsule's threads where tests have no transaction" do
    run_suite(<<~RUBY, GOOD_JOB_EXECUTION_MODE: "async")
      self.use_transactional_tests = false
      teardown { GoodJob::Job.delete_all }

      test "runs" do
        job = GoodJob::Job.find(post_job)
        wait_until { job.reload.finished? }
        assert_match(/good_job/, NoteJob::NOTES.pop)
      end
    RUBY
  end

  describe "in parallel" do
    # Two tests that meet: neither ends before the other has begun.
    def meeting_tests(body)
      meeting = File.join(@app.directory, "tmp/meeting-#{SecureRandom.uuid}")
      %w[first second].map { |name| <<~RUBY }.join
        test #{name.inspect} do
          FileUtils.mkdir_p(#{meeting.inspect})
          FileUtils.touch(File.join(#{meeting.inspect}, #{name.inspect}))
          wait_until("the other test") { Dir.children(#{meeting.inspect}).size == 2 }
          #{body}
          puts "process \#{Process.pid} database \#{ActiveRecord::Base.connection.current_database}."
        end
      RUBY
    end

    # @return [Array<Array(String, String)>] processes and databases, by database
    def places(said)
      said.scan(/process (\d+) database (\S+)\.$/).sort_by(&:last)
    end

    define_method(:expect_own_places) do |said|
      processes, databases = places(said).transpose
      expect([processes.uniq.size, databases]).to eq [2, ["#{database}-0", "#{database}-1"]]
    end

    it "gives each process a database of its own, in which its jobs run" do
      expect_own_places(run_suite(<<~RUBY, count: 2, PARALLEL_WORKERS: "2"))
        parallelize(workers: 2)
        #{meeting_tests("NoteJob.perform_later; assert_equal [1, 1], [GoodJob::Job.succeeded.count, NoteJob::NOTES.size]")}
      RUBY
    end

    it "gives each process a capsule of its own, on its own database" do
      expect_own_places(run_suite(<<~RUBY, count: 2, PARALLEL_WORKERS: "2", GOOD_JOB_EXECUTION_MODE: "async"))
        parallelize(workers: 2)
        self.use_transactional_tests = false
        #{meeting_tests(<<~TEST)}
          job = GoodJob::Job.find(post_job)
          wait_until { job.reload.finished? }
          assert_match(/good_job/, NoteJob::NOTES.pop)
          assert_equal [[Process.pid], 1], [GoodJob::Process.all.map { |process| process.state["pid"] }, GoodJob::Job.count]
        TEST
      RUBY
    end

    it "ends a child's capsule with the child" do
      run_suite(<<~RUBY, count: 2, PARALLEL_WORKERS: "2", GOOD_JOB_EXECUTION_MODE: "async")
        parallelize(workers: 2)
        self.use_transactional_tests = false
        #{meeting_tests("post_job; wait_until { GoodJob::Process.count == 1 }; assert GoodJob.capsule.running?")}
      RUBY
      left = %w[0 1].map { |number| Postgres.execute(Postgres.url("#{database}-#{number}"), "SELECT count(*) FROM good_job_processes").first.fetch("count") }
      expect(left).to eq %w[0 0]
    end
  end
end
