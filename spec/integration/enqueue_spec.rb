# frozen_string_literal: true

require_relative "../support/integration"
require_relative "../support/listener"

RSpec.describe "Enqueueing", :database, :integration do
  let(:record_class) { ActiveRecord::Base }

  def announced(&block)
    Listener.during(SpecDatabase.url, &block)
  end

  def roll_back
    raise ActiveRecord::Rollback
  end

  # As Postgres has them, for a look that no model colours.
  def stored(job)
    Postgres.execute(SpecDatabase.url, "SELECT * FROM good_jobs WHERE id = $1", [job.job_id]).first
  end

  describe "in a transaction" do
    it "leaves nothing and wakes nobody when it is rolled back" do
      heard = announced do
        record_class.transaction do
          RecordJob.perform_later
          RecordJob.set(wait: 60).perform_later
          ActiveJob::Base.queue_adapter.enqueue_all([RecordJob.new, RecordJob.new])
          expect(GoodJob::Job.count).to eq 4
          roll_back
        end
      end
      expect(heard).to be_empty
      expect(GoodJob::Job.count).to eq 0
    end

    it "is seen, and wakes, when it is committed and not before" do
      listener = Listener.new(SpecDatabase.url)
      record_class.transaction do
        RecordJob.perform_later
        expect(listener.heard).to be_empty
        expect(Postgres.execute(SpecDatabase.url, "SELECT id FROM good_jobs")).to be_empty
      end
      expect(listener.heard).to match [include("queue_name" => "default")]
      expect(GoodJob::Job.count).to eq 1
    ensure
      listener&.close
    end

    it "goes with a savepoint that is rolled back, alone" do
      kept = lost = nil
      heard = announced do
        record_class.transaction do
          kept = RecordJob.set(queue: "kept").perform_later
          record_class.transaction(requires_new: true) do
            lost = RecordJob.set(queue: "lost").perform_later
            roll_back
          end
        end
      end
      expect(heard.map { |payload| payload["queue_name"] }).to eq ["kept"]
      expect(GoodJob::Job.ids).to eq [kept.job_id]
      expect(stored(lost)).to be_nil
    end

    it "runs only after the commit, though workers wait for it" do
      start_capsule
      job = nil
      record_class.transaction do
        job = RecordJob.perform_later
        committed = RecordJob.new
        Thread.new { committed.enqueue }.join
        wait_for_event(committed, "ran")
        expect(events(job)).to be_empty
      end
      wait_for_event(job, "ran")
    end

    def adapter(enqueue_after_transaction_commit:)
      capsule = new_capsule(enqueue_after_transaction_commit: enqueue_after_transaction_commit)
      GoodJob::Adapter.new(execution_mode: :external, _capsule: capsule)
    end

    it "tells Active Job whether to wait for the commit, as configured" do
      answers = [true, false].map { |wanted| adapter(enqueue_after_transaction_commit: wanted).enqueue_after_transaction_commit? }
      expect(answers).to eq [true, false]
      expect(new_capsule.configuration.enqueue_after_transaction_commit).to be false
    end

    if ActiveJob::Base.try(:enqueue_after_transaction_commit) == :default
      it "is written at the commit only, where Active Job asks and the setting says so" do
        counts = [true, false].map do |wanted|
          ActiveJob::Base.queue_adapter = adapter(enqueue_after_transaction_commit: wanted)
          record_class.transaction { RecordJob.perform_later && GoodJob::Job.count }
        end
        expect(counts).to eq [0, 2]
        expect(GoodJob::Job.count).to eq 2
      end
    end
  end

  describe "one job" do
    let(:unset) do
      %w[performed_at finished_at error error_event executions_count concurrency_key cron_key cron_at batch_id batch_callback_id labels
         locked_by_id locked_at lock_type retried_good_job_id is_discrete].to_h { |column| [column, nil] }
    end

    it "becomes a row as the contract says" do
      job = RecordJob.new("cheese", { "grams" => 30 })
      payload = job.serialize
      before = Time.now.utc.floor(6)
      job.enqueue
      row = stored(job)

      expect(row).to include(unset)
      expect(row).to include("id" => job.job_id, "active_job_id" => job.job_id, "job_class" => "RecordJob", "queue_name" => "default",
                             "priority" => "0")
      expect(JSON.parse(row["serialized_params"]).except("enqueued_at")).to eq JSON.parse(payload.to_json).except("enqueued_at")
      expect(JSON.parse(row["serialized_params"])).to include("provider_job_id" => nil, "executions" => 0, "priority" => nil)
      expect(row.values_at("created_at", "updated_at").uniq.size).to eq 1
      expect(Time.parse("#{row["created_at"]} UTC")).to be_between(before, Time.now)
      expect(row["scheduled_at"]).to eq row["created_at"]
      expect(job.provider_job_id).to eq job.job_id
    end

    it "has the queue, priority and time it was given, to the microsecond" do
      time = Time.utc(2040, 1, 2, 3, 4, 5.654321r)
      job = RecordJob.set(queue: "mice", priority: -7, wait_until: time).perform_later
      expect(stored(job)).to include(unset.merge("queue_name" => "mice", "priority" => "-7", "scheduled_at" => "2040-01-02 03:04:05.654321"))

      waiting = RecordJob.set(wait: 3600).perform_later
      expect(row(waiting).scheduled_at).to be_within(5).of(Time.now + 3600)
    end

    it "goes to the queue \"default\" when its own name is blank" do
      expect(stored(RecordJob.set(queue: "").perform_later)["queue_name"]).to eq "default"
    end

    it "is one statement, the announcement included" do
      RecordJob.perform_later # connects and prepares
      expect(statements { RecordJob.perform_later }).to match [/\AINSERT INTO "good_jobs".*pg_notify/m]
      expect(statements { RecordJob.set(wait: 60).perform_later }.size).to eq 1
      in_transaction = statements { record_class.transaction { RecordJob.perform_later } }
      expect(in_transaction.map { |sql| sql[/\A\w+/] }).to eq %w[BEGIN INSERT COMMIT]
    end

    it "announces its queue and time, whether it is due or not" do
      time = Time.utc(2040, 1, 2, 3, 4, 5.5r)
      heard = announced do
        RecordJob.set(queue: "mice").perform_later
        RecordJob.set(queue: "later", wait_until: time).perform_later
      end
      expect(heard.map { |payload| payload["queue_name"] }).to eq %w[mice later]
      expect(heard.map { |payload| Time.iso8601(payload["scheduled_at"]) }).to match [be_within(5).of(Time.now), eq(time)]
    end
  end

  it "is announced to all, though the process has threads of its own that wait" do
    capsule = start_capsule(execution_mode: :async_all)
    ActiveJob::Base.queue_adapter = GoodJob::Adapter.new(execution_mode: :async_all, _capsule: capsule)
    wait_until("it to listen") { capsule.snapshot[:listening] }
    heard = announced { wait_until_finished(RecordJob.set(queue: "mice").perform_later) }
    expect(heard.map { |payload| payload["queue_name"] }).to eq ["mice"]
  end

  describe "many jobs" do
    def job(*arguments, queue: "default", priority: nil, at: nil)
      RecordJob.new(*arguments).tap do |job|
        job.queue_name = queue
        job.priority = priority
        job.scheduled_at = at
      end
    end

    def enqueue_all(jobs)
      return ActiveJob.perform_all_later(jobs) if ActiveJob.respond_to?(:perform_all_later)

      ActiveJob::Base.queue_adapter.enqueue_all(jobs)
    end

    it "is one statement, and one announcement for each queue and time" do
      RecordJob.perform_later # connects and prepares
      time = Time.utc(2040)
      jobs = [job, job, job, job(queue: "mice"), job(queue: "mice"), job(queue: "mice", at: time)]
      heard = announced { expect(statements { enqueue_all(jobs) }.size).to eq 1 }

      expect(heard.map { |payload| payload.values_at("queue_name", "count") }).to contain_exactly(["default", 3], ["mice", 2], ["mice", 1])
      expect(heard.map { |payload| Time.iso8601(payload["scheduled_at"]) }.max).to eq time
      expect(jobs.map(&:provider_job_id)).to eq jobs.map(&:job_id)
      expect(jobs.select { |job| job.respond_to?(:successfully_enqueued?) }).to all(be_successfully_enqueued)
    end

    it "wakes as many threads as there are jobs, by one announcement" do
      capsule = start_capsule(max_threads: 3)
      wait_until("it to listen") { capsule.snapshot[:listening] }
      jobs = Array.new(3) { LatchedJob.new(latch.path) }
      heard = announced { enqueue_all(jobs) }
      expect(heard.map { |payload| payload["count"] }).to eq [3]
      wait_until("all three to run at once") { events == ["started"] * 3 }
    end

    it "writes the same rows as one after the other" do
      alone = job("cheese", 1)
      alone.enqueue(queue: "mice", priority: 3, wait_until: Time.utc(2040))
      together = job("cheese", 1, queue: "mice", priority: 3, at: Time.utc(2040))
      enqueue_all([together, job])

      rows = [alone, together].map { |job| stored(job) }
      rows.each { |row| row["serialized_params"] = JSON.parse(row["serialized_params"]).except("job_id", "enqueued_at", "scheduled_at") }
      differing = rows.first.keys.reject { |column| rows.first[column] == rows.last[column] }
      expect(differing).to match_array(%w[id active_job_id created_at updated_at])
      expect(GoodJob::Job.where.not(id: alone.job_id).distinct.pluck(:created_at).size).to eq 1
    end
  end

  describe "by a host whose clock is wrong" do
    it "delays nothing when it runs ahead" do
      start_capsule
      job = travel_to(2.hours.from_now) { RecordJob.perform_later }
      many = [RecordJob.new, RecordJob.new]
      travel_to(2.hours.from_now) { ActiveJob::Base.queue_adapter.enqueue_all(many) }
      wait_until_finished(job, *many)
      expect(row(job).created_at).to be > 1.hour.from_now
    end

    it "runs no future job early when it runs behind" do
      start_capsule(max_threads: 1)
      later = RecordJob.set(priority: -1, wait_until: 1.hour.from_now).perform_later
      now = travel_to(2.hours.ago) { RecordJob.perform_later }
      wait_until_finished(now)
      expect(row(later)).to have_attributes(performed_at: nil, locked_by_id: nil, finished_at: nil)
    end
  end
end
