# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe GoodJob::CronEntry do
  def entry(cron, **params)
    described_class.new({ key: :example, class: "RecordJob", cron: cron, **params })
  end

  # @return [Array<String>] the next times after one, in UTC
  def times(cron, after:, count: 3)
    schedule = GoodJob::CronEntry::Schedule.parse(cron)
    time = Time.utc(*after)
    Array.new(count) { (time = schedule.next_time(time)).strftime("%m-%d %H:%M:%S") }
  end

  describe "its line" do
    {
      "*/20 * * * *" => ["01-01 00:20:00", "01-01 00:40:00", "01-01 01:00:00"],
      "*/20 * * * * *" => ["01-01 00:00:20", "01-01 00:00:40", "01-01 00:01:00"],
      "0 12 * * * Asia/Tokyo" => ["01-01 03:00:00", "01-02 03:00:00", "01-03 03:00:00"],
      "every day at noon" => ["01-01 12:00:00", "01-02 12:00:00", "01-03 12:00:00"],
      "every 20 seconds" => ["01-01 00:00:20", "01-01 00:00:40", "01-01 00:01:00"],
      "every monday at 9 in Europe/Berlin" => ["01-01 08:00:00", "01-08 08:00:00", "01-15 08:00:00"],
      "@hourly" => ["01-01 01:00:00", "01-01 02:00:00", "01-01 03:00:00"]
    }.each do |line, expected|
      it "may be #{line.inspect}" do
        expect(times(line, after: [2024, 1, 1])).to eq expected
      end
    end

    ["61 * * * *", "nonsense", "", nil, "1h", "2030-01-01", 5, "* * * * * * * *"].each do |line|
      it "may not be #{line.inspect}, and that is said with the entry's key" do
        expect { entry(line) }.to raise_error(ArgumentError, /the cron entry :example has cron: #{Regexp.escape(line.inspect)}/)
      end
    end

    it "is refused where it is written: in the settings" do
      settings = { cron: { nightly: { class: "RecordJob", cron: "0 25 * * *" } } }
      expect { GoodJob::Configuration.new(settings, rails: {}, env: {}) }.to raise_error(ArgumentError, /:nightly has cron: "0 25 \* \* \*"/)
    end

    it "may come from the environment" do
      env = { "GOOD_JOB_CRON" => '{"nightly": {"class": "RecordJob", "cron": "0 2 * * *", "args": [1]}}' }
      nightly, = GoodJob::Configuration.new({}, rails: {}, env: env).cron_entries
      expect(nightly).to have_attributes(key: :nightly, job_class: "RecordJob", args: [1], display_schedule: "0 2 * * *")
    end
  end

  describe "what else it may have" do
    it "is said when it has something else" do
      expect { entry("* * * * *", arg: [1]) }.to raise_error(ArgumentError, /the cron entry :example has :arg; it may have :key, :cron/)
      expect { described_class.new(cron: "* * * * *", class: "A") }.to raise_error(ArgumentError, /needs a key/)
      expect { described_class.new(key: :a, cron: "* * * * *") }.to raise_error(ArgumentError, /:a has no class/)
      expect { entry("* * * * *", 5 => 1) }.to raise_error(ArgumentError, /the cron entry :example has 5; it may have :key, :cron/)
    end

    [
      [:class, 5, "the name of a job class"], [:class, ["RecordJob"], "the name of a job class"], [:kwargs, [1], "a Hash"], [:set, "queue", "a Hash"],
      [:description, 5, "a text"], [:enabled_by_default, "no", "true or false"], [:enabled_by_default, 0, "true or false"]
    ].each do |name, value, allowed|
      it "is said when its #{name} is #{value.inspect}, with what is allowed" do
        message = "GoodJob: the cron entry :example has #{name}: #{value.inspect}, but that must be #{allowed}, or a callable."
        expect { entry("* * * * *", name => value) }.to raise_error(ArgumentError, message)
      end
    end

    it "is said when it is no Hash, or has no name" do
      [nil, "@daily", [1]].each do |wrong|
        settings = { cron: { nightly: wrong } }
        message = "GoodJob: the cron entry :nightly is #{wrong.inspect}, but must be a Hash."
        expect { GoodJob::Configuration.new(settings, rails: {}, env: {}) }.to raise_error(ArgumentError, message)
      end
      settings = { cron: { 5 => { class: "RecordJob", cron: "* * * * *" } } }
      expect { GoodJob::Configuration.new(settings, rails: {}, env: {}) }.to raise_error(ArgumentError, /entry has the key 5, which is no name/)
    end

    it "is all there to be asked for" do
      set = { queue: "mice" }
      example = entry("0 2 * * *", set: set, kwargs: { three: 3 }, description: "Counts the mice")
      expect(example).to have_attributes(id: :example, to_param: :example, cron: "0 2 * * *", set: set, args: nil, kwargs: { three: 3 },
                                         description: "Counts the mice", enabled_by_default?: true)
      expect(example.display_properties).to include(description: "Counts the mice", kwargs: { three: 3 })
    end

    it "may say whether it is on by default, by a value or a callable" do
      answers = [true, false, nil, -> { true }, -> {}].map { |value| entry("* * * * *", enabled_by_default: value).enabled_by_default? }
      expect(answers).to eq [true, false, false, true, false]
    end
  end

  describe "on the day when clocks are put forward" do
    # In Berlin, 2:00 to 3:00 (1:00 UTC) of 31 March 2024 does not exist.
    {
      "30 2 * * * Europe/Berlin" => ["03-30 01:30:00", "03-31 01:00:00", "04-01 00:30:00"],
      "0 3 * * * Europe/Berlin" => ["03-30 02:00:00", "03-31 01:00:00", "04-01 01:00:00"],
      "0,20,40 2 * * * Europe/Berlin" => ["03-30 01:00:00", "03-30 01:20:00", "03-30 01:40:00", "03-31 01:00:00", "04-01 00:00:00"],
      "0 0 2 * * * Europe/Berlin" => ["03-30 01:00:00", "03-31 01:00:00", "04-01 00:00:00"]
    }.each do |line, expected|
      it "runs #{line.inspect} once a day" do
        expect(times(line, after: [2024, 3, 30, 0, 59, 59], count: expected.size)).to eq expected
      end
    end

    it "runs every half hour every half hour" do
      expect(times("*/30 * * * * Europe/Berlin", after: [2024, 3, 31, 0, 30], count: 3)).to eq ["03-31 01:00:00", "03-31 01:30:00", "03-31 02:00:00"]
    end
  end

  describe "on the day when clocks are put back" do
    # In Berlin, 2:00 to 3:00 of 27 October 2024 comes twice, from 0:00 and from 1:00 UTC.
    it "runs at half past two once, the first time" do
      expect(times("30 2 * * * Europe/Berlin", after: [2024, 10, 26, 12])).to eq ["10-27 00:30:00", "10-28 01:30:00", "10-29 01:30:00"]
    end

    it "runs every hour every hour" do
      expect(times("0 * * * * Europe/Berlin", after: [2024, 10, 26, 23, 30])).to eq ["10-27 00:00:00", "10-27 01:00:00", "10-27 02:00:00"]
    end

    it "runs a half-hourly entry of the night hours once for each time" do
      expect(times("0,30 1,2 * * * America/New_York", after: [2024, 11, 3, 4], count: 4))
        .to eq ["11-03 05:00:00", "11-03 05:30:00", "11-03 07:00:00", "11-03 07:30:00"]
    end
  end

  describe "a year of days" do
    %w[Europe/Berlin America/New_York Australia/Lord_Howe America/Santiago].each do |zone|
      it "has one run each at 00:30 and 02:15 in #{zone}" do
        ["30 0 * * *", "15 2 * * *"].each do |line|
          schedule = GoodJob::CronEntry::Schedule.parse("#{line} #{zone}")
          days = schedule.within(Time.utc(2024, 1, 10), Time.utc(2024, 12, 20)).map { |time| time.in_time_zone(zone).to_date }
          expect(days).to eq((days.first..days.last).to_a)
        end
      end
    end
  end

  describe "times of the past", :integration, :database do
    it "gives all that were due in a period" do
      travel_to Time.utc(2030, 1, 1, 12, 0, 30) do
        expect(entry("* * * * *").within(150)).to eq [Time.utc(2030, 1, 1, 11, 58), Time.utc(2030, 1, 1, 11, 59), Time.utc(2030, 1, 1, 12)]
      end
    end

    it "gives the latest of very many" do
      now = Time.utc(2030, 1, 1, 12)
      times = travel_to(now) { entry("* * * * * *").within(4_000) }
      expect(times.size).to eq GoodJob::CronEntry::Schedule::TIMES_MAX
      expect(times.last).to be_between(now - 1, now)
    end
  end

  describe "a callable instead of a line", :integration, :database do
    it "is given the last time, and answers with the next" do
      answers = entry(->(last) { (last || Time.utc(2030)) + 90 })
      expect(answers.next_at).to eq Time.utc(2030, 1, 1, 0, 1, 30)
      expect(answers.next_at(previously_at: Time.utc(2030, 1, 1, 1))).to eq Time.utc(2030, 1, 1, 1, 1, 30)
    end

    it "knows when the last job was" do
      job = entry("* * * * *").enqueue(Time.utc(2029))
      expect(job).to be_truthy
      expect(entry(->(last) { last + 60 }).next_at).to eq Time.utc(2029, 1, 1, 0, 1)
    end

    it "may answer with a line" do
      travel_to(Time.utc(2030, 1, 1, 12, 0, 30)) { expect(entry(->(_last) { "*/5 * * * *" }).next_at).to eq Time.utc(2030, 1, 1, 12, 5) }
    end

    it "is shown as what it is" do
      shown = entry(->(_last) {}, args: -> { [1] }, set: { queue: "x" }).display_properties
      expect(shown).to include(cron: "Lambda/Callable", args: "Lambda/Callable", set: { queue: "x" }, description: "None", class: "RecordJob")
    end
  end

  describe "its job", :integration, :database do
    before do
      stub_const("CheeseJob", Class.new(ActiveJob::Base) do
        def perform(*arguments, **keywords)
          SpecRun.record(self, [*arguments, keywords].inspect)
        end
      end)
    end

    it "has arguments, keywords and settings, which may be callables" do
      cheese = described_class.new(key: "cheese", cron: "* * * * *", class: -> { "CheeseJob" }, args: -> { [1, "two"] },
                                   kwargs: -> { { three: 3 } }, set: -> { { queue: "mice", priority: -7 } })
      job = cheese.enqueue
      expect(row(job)).to have_attributes(queue_name: "mice", priority: -7, cron_key: "cheese", cron_at: nil)
      run_jobs
      expect(events).to eq [[1, "two", { three: 3 }].inspect]
    end

    it "is one for each time, whoever enqueues it" do
      at = Time.utc(2030)
      2.times { entry("* * * * *").enqueue(at) }
      expect(GoodJob::Job.where(cron_key: "example").pluck(:cron_at)).to eq [at]
    end

    it "is enqueued without a word when somebody else has done it" do
      log = StringIO.new
      ActiveJob::Base.logger = Logger.new(log)
      at = Time.utc(2030)
      tries = Array.new(6) { Thread.new { GoodJob.within_executor { entry("* * * * *").enqueue_once(at) } } }.map(&:value)
      expect(tries.count(&:itself)).to eq 1
      expect(log.string.scan("nqueu").size).to eq log.string.scan("Enqueued RecordJob").size
    end

    it "is found by the entry" do
      at = Time.utc(2030)
      job = entry("* * * * *").enqueue(at)
      example = entry("* * * * *")
      expect(example.jobs.ids).to eq [job.job_id]
      expect(example).to have_attributes(last_job: row(job), last_job_at: at)
      expect(described_class.last_jobs_by_key([example]).transform_values(&:id)).to eq("example" => job.job_id)
    end

    it "is enqueued in the application's default language" do
      I18n.available_locales |= [:de]
      job = I18n.with_locale(:de) { entry("* * * * *").enqueue }
      expect(row(job).serialized_params["locale"]).to eq "en"
    end
  end

  describe "switching", :integration, :database do
    it "goes for all processes" do
      example = entry("* * * * *")
      expect { example.disable }.to change(example, :enabled?).from(true).to(false)
      expect(entry("* * * * *")).not_to be_enabled
      expect { example.enable }.to change(example, :enabled?).from(false).to(true)
    end

    it "goes for entries that are off by default, too" do
      example = entry("* * * * *", enabled_by_default: -> { false })
      expect { example.enable }.to change(example, :enabled?).from(false).to(true)
      expect { example.disable }.to change(example, :enabled?).from(true).to(false)
      expect(GoodJob::Setting.cron_keys_enabled(example: true, other: false, third: true)).to eq(example: false, other: false, third: true)
    end
  end

  describe "the settings", :integration, :database do
    def stored
      Postgres.execute(SpecDatabase.url, "SELECT key, value FROM good_job_settings").to_h { |row| [row["key"], JSON.parse(row["value"])] }
    end

    it "are two arrays of keys, whoever has written them" do
      entry("* * * * *", key: :nightly).disable
      entry("* * * * *", key: :rare, enabled_by_default: false).enable
      expect(stored).to eq("cron_keys_disabled" => ["nightly"], "cron_keys_enabled" => ["rare"])

      Postgres.execute(SpecDatabase.url, <<~SQL)
        UPDATE good_job_settings SET value = CASE key WHEN 'cron_keys_disabled' THEN '["daily"]'::jsonb ELSE '["odd", "even"]' END
      SQL
      enabled = { nightly: true, daily: true, rare: false, odd: false }.to_h do |key, default|
        [key, entry("* * * * *", key: key, enabled_by_default: default).enabled?]
      end
      expect(enabled).to eq(nightly: true, daily: false, rare: false, odd: true)
    end
  end

  describe ".all" do
    after { GoodJob.configuration = nil }

    it "is what the configuration says" do
      expect(described_class.all).to eq []
      cron = { nightly: { class: "RecordJob", cron: "0 2 * * *" }, "noon" => { class: "QuickJob", cron: "every day at noon" } }
      GoodJob.configuration = GoodJob::Configuration.new({ cron: cron }, rails: {}, env: {})
      expect(described_class.all.map { |entry| [entry.key, entry.job_class] }).to eq [[:nightly, "RecordJob"], [:noon, "QuickJob"]]
      expect(described_class.find(:noon).key).to eq :noon
    end
  end

  describe ".find" do
    it "finds an entry by its key" do
      configuration = GoodJob::Configuration.new({ cron: { nightly: { class: "RecordJob", cron: "0 2 * * *" } } }, rails: {}, env: {})
      expect(described_class.find("nightly", configuration: configuration).key).to eq :nightly
      expect { described_class.find("daily", configuration: configuration) }.to raise_error(ActiveRecord::RecordNotFound, /no cron entry "daily"/)
    end
  end
end
