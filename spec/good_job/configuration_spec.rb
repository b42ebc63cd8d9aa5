# frozen_string_literal: true

require "active_support/duration"
require "good_job"

RSpec.describe GoodJob::Configuration do
  def configuration(explicit = {}, rails: {}, env: {}, rails_env: "production", cli: false)
    described_class.new(explicit, rails: rails, env: env, rails_env: rails_env, cli: cli)
  end

  # Every setting that the environment has: key, variable, a value as the environment gives it, what becomes of it, a value that is refused.
  by_environment = [
    [:execution_mode, "GOOD_JOB_EXECUTION_MODE", "async_all", :async_all, "sometimes"],
    [:queues, "GOOD_JOB_QUEUES", "mice:2;elephants", "mice:2;elephants", "mice:2;;elephants"],
    [:max_threads, "GOOD_JOB_MAX_THREADS", "7", 7, "0"],
    [:poll_interval, "GOOD_JOB_POLL_INTERVAL", "0.5", 0.5, "often"],
    [:prefetch, "GOOD_JOB_PREFETCH", "false", false, "x"],
    [:max_interruptions, "GOOD_JOB_MAX_INTERRUPTIONS", "3", 3, "0"],
    [:max_cache, "GOOD_JOB_MAX_CACHE", "0", 0, "-1"],
    [:shutdown_timeout, "GOOD_JOB_SHUTDOWN_TIMEOUT", "25", 25.0, "soon"],
    [:idle_timeout, "GOOD_JOB_IDLE_TIMEOUT", "60", 60.0, "x"],
    [:enable_cron, "GOOD_JOB_ENABLE_CRON", "1", true, "perhaps"],
    [:cron, "GOOD_JOB_CRON", '{"a":{"cron":"* * * * *","class":"A"}}', { a: { cron: "* * * * *", class: "A" } }, "[]"],
    [:cron_graceful_restart_period, "GOOD_JOB_CRON_GRACEFUL_RESTART_PERIOD", "300", 300.0, "x"],
    [:queue_select_limit, "GOOD_JOB_QUEUE_SELECT_LIMIT", "10", 10, "0"],
    [:cleanup_discarded_jobs, "GOOD_JOB_CLEANUP_DISCARDED_JOBS", "false", false, "x"],
    [:cleanup_preserved_jobs_before_seconds_ago, "GOOD_JOB_CLEANUP_PRESERVED_JOBS_BEFORE_SECONDS_AGO", "60", 60.0, "x"],
    [:cleanup_interval_jobs, "GOOD_JOB_CLEANUP_INTERVAL_JOBS", "0", nil, "-2"],
    [:cleanup_interval_seconds, "GOOD_JOB_CLEANUP_INTERVAL_SECONDS", "-1", -1, "x"],
    [:enable_listen_notify, "GOOD_JOB_ENABLE_LISTEN_NOTIFY", "false", false, "x"],
    [:lock_strategy, "GOOD_JOB_LOCK_STRATEGY", "hybrid", :hybrid, "hope"],
    [:enable_pauses, "GOOD_JOB_ENABLE_PAUSES", "t", true, "x"],
    [:advisory_lock_heartbeat, "GOOD_JOB_ADVISORY_LOCK_HEARTBEAT", "true", true, "x"],
    [:lower_thread_priority, "GOOD_JOB_LOWER_THREAD_PRIORITY", "off", false, "x"],
    [:pidfile, "GOOD_JOB_PIDFILE", "tmp/a.pid", "tmp/a.pid", nil],
    [:probe_port, "GOOD_JOB_PROBE_PORT", "7001", 7001, "65536"],
    [:probe_handler, "GOOD_JOB_PROBE_HANDLER", "webrick", :webrick, "x"]
  ]

  by_environment.each do |key, variable, text, value, refused|
    it "reads #{key} from #{variable}, config.good_job and explicit options, the last one first" do
      expect(configuration(env: { variable => text }).public_send(key)).to eq value
      expect(configuration(rails: { key => text }, env: { variable => refused }).public_send(key)).to eq value
      expect(configuration({ key => text }, rails: { key => refused }).public_send(key)).to eq value
    end

    next unless refused

    it "refuses #{refused.inspect} for #{key}, naming the setting and the value" do
      expect do
        configuration(env: { variable => refused })
      end.to raise_error(ArgumentError, /#{variable} is #{Regexp.escape(refused.inspect)}, but must be/)
      expect { configuration(rails: { key => refused }) }.to raise_error(ArgumentError, /config\.good_job\.#{key}/)
    end
  end

  # The others: key, a value, what becomes of it, values that are refused, and what the error says is allowed.
  callable = ->(*) {}
  logger = Logger.new(nil)
  by_application = [
    [:dequeue_query_sort, "created_at", :created_at, [:priority, 1, true], "one of :created_at, :scheduled_at"],
    [:enqueue_after_transaction_commit, true, true, ["perhaps", 2, []], "true or false"],
    [:preserve_job_records, :on_unhandled_error, :on_unhandled_error, [:always, "yes", 1], "true, false, nil, :on_unhandled_error or a callable"],
    [:retry_on_unhandled_error, "false", false, ["x", 5], "true or false"],
    [:on_thread_error, callable, callable, [:report, "report", true], "a callable"],
    [:logger, logger, logger, ["log/production.log", :stdout], "a Logger"],
    [:daemonize, "1", true, ["x", {}], "true or false"],
    [:probe_app, callable, callable, ["app", :app], "a Rack application"],
    [:dashboard_default_locale, :de, "de", [5, %w[de en]], "a locale"],
    [:dashboard_live_poll_enabled, false, false, ["x", 7], "true or false"]
  ]

  by_application.each do |key, value, result, refused, allowed|
    it "reads #{key} from config.good_job, and refuses #{refused.map(&:inspect).join(", ")}, naming the key, the value and what is allowed" do
      expect(configuration(rails: { key => value }).public_send(key)).to eq result
      refused.each do |wrong|
        message = "GoodJob: config.good_job.#{key} is #{wrong.inspect}, but must be #{allowed}"
        expect { configuration(rails: { key => wrong }) }.to raise_error(ArgumentError, /\A#{Regexp.escape(message)}/)
      end
    end
  end

  # Wrong types, of which the environment has none.
  {
    execution_mode: [5, [], :sometimes], queues: [5, %w[a b], true], max_threads: ["five", 1.5, -1, 1_001, []],
    poll_interval: [[], Object, "x", Float::NAN], max_cache: [1.5, "x", {}],
    shutdown_timeout: [:soon, Float::INFINITY, []], idle_timeout: [[], "x", -1], enable_cron: [2, []], cron: [5, "{", []],
    cron_graceful_restart_period: [{}, "x", -300], queue_select_limit: [0, [], 2.5], cleanup_discarded_jobs: ["no way", 3],
    cleanup_preserved_jobs_before_seconds_ago: [[], "x", -60], cleanup_interval_jobs: [-2, 1.5, "x"], cleanup_interval_seconds: [-2, "x"],
    enable_listen_notify: [2, "x"], lock_strategy: [1, :optimistic], enable_pauses: [[], "x"], advisory_lock_heartbeat: ["x", 9],
    lower_thread_priority: [-3, "x"], pidfile: [5, []], probe_port: [-1, 65_536, "http", []], probe_handler: [:puma, 1]
  }.each do |key, values|
    values.each do |value|
      it "refuses #{value.inspect} for #{key}, naming the key, the value and what is allowed" do
        expect { configuration(rails: { key => value }) }
          .to raise_error(ArgumentError, /\AGoodJob: config\.good_job\.#{key} is #{Regexp.escape(value.inspect)}, but must be \S/)
      end
    end
  end

  it "has a case here for every setting that there is" do
    expect([*by_environment, *by_application].map(&:first)).to match_array(GoodJob::Configuration::OPTIONS.names)
  end

  it "takes RAILS_MAX_THREADS where GOOD_JOB_MAX_THREADS is not set" do
    expect(configuration(env: { "RAILS_MAX_THREADS" => "9" }).max_threads).to eq 9
    expect(configuration(env: { "RAILS_MAX_THREADS" => "9", "GOOD_JOB_MAX_THREADS" => "3" }).max_threads).to eq 3
    expect { configuration(env: { "RAILS_MAX_THREADS" => "many" }) }.to raise_error(ArgumentError, /RAILS_MAX_THREADS is "many", but must be a whole/)
  end

  it "takes an empty environment variable, nil and false (except for switches) as not set" do
    expect(configuration(rails: { max_threads: false, queues: nil },
                         env: { "GOOD_JOB_MAX_THREADS" => "" })).to have_attributes(max_threads: 5, queues: "*")
    expect(configuration(rails: { enable_listen_notify: false }).enable_listen_notify).to be false
  end

  it "takes true and an empty text for a cleanup interval as its default, false as never" do
    expect(configuration(rails: { cleanup_interval_jobs: true }).cleanup_interval_jobs).to eq 1000
    expect(configuration(rails: { cleanup_interval_jobs: false }).cleanup_interval_jobs).to be_nil
    expect(configuration(rails: { cleanup_interval_seconds: "" }).cleanup_interval_seconds).to eq 600
  end

  it "has GoodJob's defaults, but for two that say how jobs are claimed" do
    expect(configuration).to have_attributes(
      execution_mode: :external, queues: "*", max_threads: 5, poll_interval: 10.0, max_cache: 10_000, shutdown_timeout: -1.0, idle_timeout: nil,
      enable_cron: false, cron: {}, cron_graceful_restart_period: nil, queue_select_limit: 1_000, cleanup_discarded_jobs: true,
      cleanup_preserved_jobs_before_seconds_ago: 1_209_600.0, cleanup_interval_jobs: 1_000, cleanup_interval_seconds: 600,
      enable_listen_notify: true, enable_pauses: false, enqueue_after_transaction_commit: false, advisory_lock_heartbeat: false,
      lower_thread_priority: true, daemonize: false, pidfile: "tmp/pids/good_job.pid", probe_port: nil, probe_handler: nil, probe_app: nil,
      dashboard_default_locale: "en", dashboard_live_poll_enabled: true, preserve_job_records: true, retry_on_unhandled_error: false,
      on_thread_error: nil, logger: nil
    )
    expect(configuration).to have_attributes(lock_strategy: :skiplocked, dequeue_query_sort: :scheduled_at)
    expect(configuration(rails_env: "development").advisory_lock_heartbeat).to be true
    expect(configuration(cli: true).lower_thread_priority).to be false
  end

  it "takes -1 for a cleanup interval, which means always" do
    always = configuration(rails: { cleanup_interval_jobs: -1, cleanup_interval_seconds: "-1" })
    expect([always.cleanup_interval_jobs, always.cleanup_interval_seconds]).to eq [-1, -1]
  end

  it "takes anything that is a path for one" do
    expect(configuration(rails: { pidfile: Pathname("tmp/a.pid") }).pidfile).to eq "tmp/a.pid"
  end

  it "takes durations for seconds" do
    expect(configuration(rails: { shutdown_timeout: ActiveSupport::Duration.build(120) }).shutdown_timeout).to eq 120.0
  end

  it "refuses an unknown key and lists the known ones" do
    expect { configuration(rails: { max_treads: 3 }) }.to raise_error(ArgumentError, /unknown config\.good_job key :max_treads.*max_threads/)
    expect { configuration({ colour: 1 }) }.to raise_error(ArgumentError, /unknown option :colour/)
  end

  it "bears settings of older versions that mean nothing any more" do
    GoodJob::Configuration::RETIRED.each { |key| expect { configuration(rails: { key => true }) }.not_to raise_error }
    expect(GoodJob::Configuration::RETIRED).to contain_exactly(:smaller_number_is_higher_priority, :inline_execution_respects_schedule)
  end

  it "defaults to async in development, inline in test, external elsewhere and in the executable" do
    modes = %w[development test production staging].map { |rails_env| configuration(rails_env: rails_env).execution_mode }
    expect(modes).to eq %i[async inline external external]
    expect(configuration(rails_env: "development", cli: true).execution_mode).to eq :external
  end

  it "turns async into external inside the executable, and keeps async_all and inline" do
    modes = %i[async async_server async_all inline external].map { |mode| configuration(rails: { execution_mode: mode }, cli: true).execution_mode }
    expect(modes).to eq %i[external external async_all inline external]
  end

  it "polls every 10 seconds, but not in development's async modes" do
    expect(configuration.poll_interval_us).to eq 10_000_000
    expect(configuration(rails_env: "development").poll_interval_us).to be_nil
    expect(configuration(rails_env: "development", rails: { execution_mode: :external }).poll_interval_us).to eq 10_000_000
    expect(configuration(rails: { poll_interval: 0 }).poll_interval_us).to be_nil
  end

  it "quotes what is wrong with a queue string" do
    expect { configuration(rails: { queues: ":2" }) }.to raise_error(ArgumentError, /":2"/)
    expect { configuration(rails: { queues: 5 }) }.to raise_error(ArgumentError, /config\.good_job\.queues is 5, but must be a string/)
  end

  it "is frozen" do
    expect(configuration).to be_frozen
  end

  it "is valid where it exists at all" do
    expect(configuration.validate!).to be true
    expect { configuration({ execution_mode: :sometimes }).validate! }.to raise_error(ArgumentError, /execution_mode/)
  end

  describe "total_estimated_threads", :database do
    before { GoodJob.configuration = configuration({ queues: "mice:2;elephants;*:#{many}", max_threads: 4 }) }

    after do
      GoodJob.configuration = nil
      GoodJob.logger = GoodJob::DEFAULT_LOGGER
    end

    let(:many) { 1 }

    def warning
      log = StringIO.new
      GoodJob.logger = Logger.new(log)
      described_class.total_estimated_threads
      expect(log.string).to be_empty
      described_class.total_estimated_threads(warn: true)
      log.string
    end

    it "is the sum of all pools' threads and two more" do
      expect(described_class.total_estimated_threads).to eq 9
    end

    it "gives no warning where there are connections for all" do
      expect(warning).to be_empty
    end

    context "with more threads than connections" do
      let(:many) { ActiveRecord::Base.connection_pool.size }

      it "gives a warning, if told to" do
        expect(warning).to include "GoodJob has #{many + 8} threads that use the database, but there are only #{many} connections"
      end
    end
  end
end
