# frozen_string_literal: true

require "good_job"
require "active_support/testing/time_helpers"

RSpec.describe GoodJob::Adapter do
  describe "modes" do
    it "refuses an unknown one and lists those there are" do
      expect { described_class.new(execution_mode: :sometimes) }.to raise_error(ArgumentError, /:sometimes, but must be one of :async, :async_all/)
    end

    it "runs nothing in a process that serves no web requests, except with async_all" do
      adapters = %i[async async_server async_all external inline].to_h { |mode| [mode, described_class.new(execution_mode: mode)] }
      expect(adapters.select { |_mode, adapter| adapter.execute_async? }.keys).to eq [:async_all]
      expect(adapters.select { |_mode, adapter| adapter.execute_externally? }.keys).to eq %i[async async_server external]
      expect(adapters.select { |_mode, adapter| adapter.execute_inline? }.keys).to eq [:inline]
    end

    it "runs nothing in a process that loads the application for others" do
      allow(GoodJob::WebServer).to receive(:preloading?).and_return(true)
      expect(described_class.new(execution_mode: :async_all)).not_to be_execute_async
    end
  end

  describe "enqueueing", :database do
    include ActiveSupport::Testing::TimeHelpers

    before do
      stub_const("MouseJob", Class.new(ActiveJob::Base))
      MouseJob.queue_adapter = described_class.new(execution_mode: :external)
      MouseJob.logger = nil
    end

    def rows
      ActiveRecord::Base.connection.select_all("SELECT * FROM good_jobs ORDER BY created_at, serialized_params->>'arguments'").to_a
    end

    # What arrives on the channel while the block runs.
    def notifications
      listener = PG.connect(SpecDatabase.url)
      listener.exec("LISTEN good_job")
      yield
      payloads = []
      nil while listener.wait_for_notify(0.2) { |_channel, _pid, payload| payloads << JSON.parse(payload) }
      payloads
    ensure
      listener&.close
    end

    it "writes the row that GoodJob writes" do
      job = MouseJob.perform_later("cheese")
      expect(job.provider_job_id).to eq job.job_id
      row = rows.first
      expect(row).to include(
        "id" => job.job_id, "active_job_id" => job.job_id, "job_class" => "MouseJob", "queue_name" => "default", "priority" => 0,
        "performed_at" => nil, "finished_at" => nil, "locked_by_id" => nil, "error" => nil, "labels" => nil, "concurrency_key" => nil,
        "executions_count" => nil
      )
      expect(JSON.parse(row["serialized_params"]))
        .to include("job_class" => "MouseJob", "arguments" => ["cheese"], "provider_job_id" => nil, "executions" => 0)
      expect(row["scheduled_at"]).to be_within(5).of(Time.now.utc)
    end

    it "keeps queue, priority and time, to the microsecond" do
      time = Time.utc(2040, 1, 2, 3, 4, 5.123456r)
      MouseJob.set(queue: "mice", priority: -3, wait_until: time).perform_later
      expect(rows.first).to include("queue_name" => "mice", "priority" => -3)
      expect(GoodJob::Job.first.scheduled_at.round(6)).to eq time
    end

    it "is due at once on a host whose clock runs ahead" do
      travel_to(1.hour.from_now) { MouseJob.perform_later }
      expect(GoodJob::Job.queued.count).to eq 1
    end

    it "leaves nothing and tells nobody when the transaction is rolled back" do
      heard = notifications do
        ActiveRecord::Base.transaction do
          MouseJob.perform_later
          MouseJob.queue_adapter.enqueue_all([MouseJob.new])
          raise ActiveRecord::Rollback
        end
        ActiveRecord::Base.connection.execute("NOTIFY good_job, '{\"last\":true}'")
      end
      expect(heard).to eq ["last" => true]
      expect(rows).to be_empty
    end

    it "tells queue and time" do
      expect(notifications { MouseJob.set(queue: "mice").perform_later }).to match [
        { "queue_name" => "mice", "scheduled_at" => match(/\A\d{4}-\d\d-\d\dT.*\+00:00\z/), "priority" => 0 }
      ]
    end

    it "keeps the labels, the concurrency key and the silence that a job asks for" do
      MouseJob.class_eval do
        define_method(:good_job_labels) { [" a ", :b, "", "a", nil, 'quo"te,{}'] }
        define_method(:good_job_concurrency_key) { "k" }
        define_method(:good_job_notify) { false }
      end
      heard = notifications do
        MouseJob.perform_later
        ActiveRecord::Base.connection.execute("NOTIFY good_job, '{}'")
      end
      expect(heard).to eq [{}]
      expect(GoodJob::Job.first).to have_attributes(labels: ["a", "b", 'quo"te,{}'], concurrency_key: "k")
    end

    it "enqueues one tick of a cron entry once, and says so as Active Job does for a stopped enqueue" do
      origin = GoodJob::JobRow::Origin.new(cron_key: "tick", cron_at: Time.utc(2030))
      jobs = Array.new(2) { MouseJob.new }
      results = jobs.map { |job| MouseJob.queue_adapter.enqueue_at(job, nil, origin: origin) }
      expect(results).to match [be_a(GoodJob::JobRow), false]
      expect(jobs.map(&:provider_job_id)).to eq [jobs.first.job_id, nil]
    end

    it "stops the enqueue of a tick that is there already as a callback would, and says why" do
      halts = []
      MouseJob.define_method(:halted_callback_hook) { |*reasons| halts << [job_id, reasons] }
      origin = GoodJob::JobRow::Origin.new(cron_key: "tick", cron_at: Time.utc(2030))
      jobs = Array.new(2) { MouseJob.new }
      jobs.each { |job| MouseJob.queue_adapter.enqueue_at(job, nil, origin: origin) }
      expect(halts).to eq [[jobs.last.job_id, %i[duplicate_cron_key good_job]]]
    end

    it "raises when a job that is there already is enqueued again outside of its run" do
      job = MouseJob.perform_later
      expect { job.enqueue }.to raise_error(ActiveRecord::RecordNotUnique)
    end

    it "enqueues many in one statement per thousand, and tells each queue once" do
      statements = []
      subscriber = ActiveSupport::Notifications.subscribe("sql.active_record") { |*, payload| statements << payload[:name] }
      jobs = Array.new(1_500) { |number| MouseJob.new(number).tap { |job| job.queue_name = number.even? ? "even" : "odd" } }
      heard = notifications { expect(MouseJob.queue_adapter.enqueue_all(jobs)).to eq 1_500 }

      expect(statements.count("GoodJob insert_jobs")).to eq 2
      expect(jobs.map(&:provider_job_id)).to eq jobs.map(&:job_id)
      expect(heard.sum { |payload| payload["count"] }).to eq 1_500
      expect(GoodJob::Job.group(:queue_name).count).to eq("even" => 750, "odd" => 750)
      expect(JSON.parse(rows.first["serialized_params"])["queue_name"]).to eq rows.first["queue_name"]
    ensure
      ActiveSupport::Notifications.unsubscribe(subscriber)
    end

    it "enqueues many inside of a job in one statement as well, and the job itself with its outcome" do
      job = MouseJob.new("itself")
      run = GoodJob::Run.new({ id: job.job_id, serialized_params: job.serialize.to_json, stamped: true })
      run.perform { expect(MouseJob.queue_adapter.enqueue_all([MouseJob.new("a"), job, MouseJob.new("b")])).to eq 3 }
      expect(run.outcome).to include(state: "retried", retry: include(queue_name: "default"))
      expect(GoodJob::Job.pluck(:id)).not_to include(job.job_id)
      expect(GoodJob::Job.count).to eq 2
    end

    it "enqueues none of none" do
      expect(MouseJob.queue_adapter.enqueue_all([])).to eq 0
    end

    it "takes the times of many jobs as of one" do
      jobs = [MouseJob.new(1).tap { |job| job.scheduled_at = Time.at(2_000_000_000.25) }, MouseJob.new(2)]
      MouseJob.queue_adapter.enqueue_all(jobs)
      expect(GoodJob::Job.scheduled.first.scheduled_at).to eq Time.at(2_000_000_000.25)
      expect(GoodJob::Job.queued.count).to eq 1
    end

    it "instruments an enqueue when somebody listens" do
      events = []
      subscriber = ActiveSupport::Notifications.subscribe("enqueue_job.good_job") { |*, payload| events << payload }
      job = MouseJob.perform_later
      expect(events).to match [include(active_job: job, job: have_attributes(id: job.job_id))]
    ensure
      ActiveSupport::Notifications.unsubscribe(subscriber)
    end
  end
end
