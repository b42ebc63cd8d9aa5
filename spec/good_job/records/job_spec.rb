# frozen_string_literal: true

require_relative "../../support/integration"

RSpec.describe "GoodJob::Job", :database, :integration do
  before do
    stub_const("MouseJob", Class.new(ActiveJob::Base) { def perform(*); end })
  end

  def create(**attributes)
    id = SecureRandom.uuid
    GoodJob::Job.create!(
      id: id, active_job_id: id, job_class: "MouseJob", queue_name: "mice", priority: 0, scheduled_at: 1.minute.ago,
      serialized_params: MouseJob.new.serialize.merge("job_id" => id), **attributes
    )
  end

  describe "states" do
    let!(:jobs) do
      now = Time.current
      {
        scheduled: create(scheduled_at: now + 60),
        retried: create(scheduled_at: now + 60, error: "E: m", serialized_params: MouseJob.new.serialize.merge("executions" => 2)),
        queued: create,
        running: create(performed_at: now, locked_by_id: SecureRandom.uuid),
        succeeded: create(performed_at: now, finished_at: now),
        discarded: create(performed_at: now, finished_at: now, error: "E: m")
      }
    end

    it "are a scope and a status each" do
      jobs.each do |state, job|
        expect(job.status).to eq state
        expect(GoodJob::Job.public_send(state)).to eq [job]
      end
    end

    it "are asked for by predicates" do
      expect(jobs.select { |_state, job| job.finished? }.keys).to eq %i[succeeded discarded]
      expect(jobs.select { |_state, job| job.succeeded? }.keys).to eq %i[succeeded]
      expect(jobs.select { |_state, job| job.discarded? }.keys).to eq %i[discarded]
      expect(jobs.select { |_state, job| job.running? }.keys).to eq %i[running]
      expect(jobs.select { |_state, job| job.executable? }.keys).to eq %i[scheduled retried queued running]
    end

    it "include finished, unfinished and finished_before" do
      expect(GoodJob::Job.finished).to match_array(jobs.values_at(:succeeded, :discarded))
      expect(GoodJob::Job.unfinished.count).to eq 4
      expect(GoodJob::Job.finished_before(Time.current)).to match_array(jobs.values_at(:succeeded, :discarded))
      expect(GoodJob::Job.finished_before(1.day.ago)).to be_empty
    end
  end

  it "counts a job whose advisory lock is held as running" do
    job = create
    PG.connect(SpecDatabase.url) do |session|
      session.exec("SELECT pg_advisory_lock(('x' || substr(md5('good_jobs-#{job.id}'), 1, 16))::bit(64)::int8)")
      expect(job).to be_running
    end
    wait_until("the lock to be gone") { !job.running? }
  end

  it "is found by queue string, in the words of a pool" do
    jobs = { "mice" => create, "rats" => create(queue_name: "rats"), nil => create(queue_name: nil) }
    {
      "*" => ["mice", "rats", nil], "" => ["mice", "rats", nil], "mice" => ["mice"], "mice,rats" => %w[mice rats], "+rats,mice" => %w[mice rats],
      "-mice" => ["rats", nil]
    }.each do |string, queues|
      expect(GoodJob::Job.queue_string(string)).to match_array(jobs.values_at(*queues)), string
    end
    expect { GoodJob::Job.queue_string("mice;rats") }.to raise_error(ArgumentError, /2 pools/)
  end

  it "parses queue strings into the shapes that GoodJob has" do
    expect(["*", "a,b", "-a", "+a,b", "a,*"].map { |string| GoodJob::Job.queue_parser(string) })
      .to eq [{ all: true }, { include: %w[a b] }, { exclude: %w[a] }, { include: %w[a b], ordered_queues: true }, { all: true }]
  end

  it "is ordered as it is claimed, or by queue, priority, creation or time" do
    late = create(priority: 1, scheduled_at: 1.hour.ago)
    early = create(priority: 1, scheduled_at: 2.hours.ago, queue_name: "rats")
    none = create(priority: nil, queue_name: "cats")
    expect(GoodJob::Job.dequeueing_ordered(nil)).to eq [early, late, none]
    expect(GoodJob::Job.dequeueing_ordered({ include: %w[mice rats], ordered_queues: true })).to eq [late, early, none]
    expect(GoodJob::Job.priority_ordered.last).to eq none
    expect(GoodJob::Job.creation_ordered).to eq [late, early, none]
    expect(GoodJob::Job.schedule_ordered.first).to eq early
    expect(GoodJob::Job.queue_ordered(%w[cats rats]).map(&:queue_name)).to eq %w[cats rats mice]
  end

  it "is found by label, class and Active Job's id" do
    job = create(labels: %w[a b])
    create(labels: %w[c], job_class: "RatJob")
    expect(GoodJob::Job.labeled("b")).to eq [job]
    expect(GoodJob::Job.labeled(%w[b c]).count).to eq 2
    expect(GoodJob::Job.job_class("MouseJob")).to eq [job]
    expect(GoodJob::Job.active_job_id(job.active_job_id)).to eq [job]
  end

  it "is shown page by page, after a job that may be gone" do
    jobs = Array.new(5) { |number| create(created_at: Time.utc(2035, 1, 1) + (number / 2)) }
    in_order = jobs.sort_by { |job| [job.created_at, job.id] }.reverse
    expect(GoodJob::Job.display_all).to eq in_order
    cursor = in_order[1]
    cursor.destroy!
    expect(GoodJob::Job.display_all(after_at: cursor.created_at, after_id: cursor.id)).to eq in_order[2..]
    expect(GoodJob::Job.display_all(after_at: cursor.created_at.iso8601(6), after_id: cursor.id)).to eq in_order[2..]
    expect(GoodJob::Job.display_all(ordered_by: %w[created_at asc])).to eq (in_order - [cursor]).reverse
    expect { GoodJob::Job.display_all(ordered_by: ["id; DROP TABLE good_jobs", "asc"]).to_a }.to raise_error(ArgumentError, /no column/)
  end

  it "is found by the words of its payload, error and labels, and by its id" do
    payload = MouseJob.new("stilton", { "age" => "ripe" }).serialize
    job = create(error: "ArgumentError: no more gorgonzola", labels: ["dairy"], serialized_params: payload)
    create
    %w[gorgonzola stilton ripe dairy].each { |word| expect(GoodJob::Job.search_text(word)).to eq [job] }
    expect(GoodJob::Job.search_text(job.id)).to eq [job]
    expect(GoodJob::Job.search_text("cheddar")).to be_empty
    expect(GoodJob::Job.search_text("gorgonzola -stilton")).to be_empty
    expect(GoodJob::Job.search_text(" ").count).to eq 2
    expect(GoodJob::Job.search_text("it's \"odd' & | ! <-> :*").to_a).to be_empty
    expect(GoodJob::Job.search_text(SecureRandom.uuid)).to be_empty
  end

  it "says when the next ones are due" do
    travel_to(Time.utc(2035, 1, 1, 12))
    now = Time.current
    [now + 60, now + 30, now - 30].each { |time| create(scheduled_at: time) }
    expect(GoodJob::Job.next_scheduled_at).to eq [now + 30, now + 60]
    expect(GoodJob::Job.next_scheduled_at(limit: 1, now_limit: 5)).to eq [now - 30, now + 30]
    expect(GoodJob::Job.next_scheduled_at(after: now + 45)).to eq [now + 60]
  end

  it "describes itself" do
    travel_to(Time.utc(2035, 1, 1, 12))
    now = Time.current
    job = create(scheduled_at: now - 10, performed_at: now - 4, finished_at: now - 1, error: "E: m")
    expect(job).to have_attributes(queue_latency: 6, runtime_latency: 3, number: 1, executions_count: 0, display_name: "MouseJob",
                                   display_error: "E: m", job_state: { queue_name: "mice", scheduled_at: now - 10 }, last_status_at: now - 1)
    mail = create(job_class: "ActionMailer::MailDeliveryJob", serialized_params: { "arguments" => %w[MouseMailer squeak deliver_now] })
    expect(mail.display_name).to eq "MouseMailer#squeak"
    expect(create(serialized_params: { "exception_executions" => { "[IOError]" => 2 } }).display_error).to eq "[IOError]: 2"
    expect(JSON.parse(job.display_serialized_params)).to include("job_class" => "MouseJob", "_good_job" => include("queue_name" => "mice"))
    expect(GoodJob::Job.format_error(IOError.new("wet"))).to eq "IOError: wet"
  end

  it "is due by its time, whatever has become of it" do
    due = create
    finished = create(finished_at: Time.current)
    create(scheduled_at: 1.minute.from_now)
    create(scheduled_at: nil)
    expect(GoodJob::Job.only_scheduled).to contain_exactly(due, finished)
  end

  it "comes in the order of creation where no other is asked for" do
    jobs = Array.new(3) { create }.sort_by(&:id)
    jobs.each_with_index { |job, index| job.update!(created_at: index.days.ago) }
    expect([GoodJob::Job.first, GoodJob::Job.last]).to eq [jobs.last, jobs.first]
  end

  it "says how it is locked, and may be" do
    expect(GoodJob::Job.lock_types).to eq("advisory" => 0, "skiplocked" => 1, "hybrid" => 2)
    expect(GoodJob::Job.effective_lock_strategy).to eq :skiplocked
    GoodJob.configuration = new_capsule(lock_strategy: :hybrid).configuration
    expect(GoodJob::Job.effective_lock_strategy).to eq :hybrid
  ensure
    GoodJob.configuration = nil
  end

  it "belongs to a batch, as one of its jobs or as a callback, and to the process that holds it" do
    jobs, callbacks = Array.new(2) { GoodJob::BatchRecord.create! }
    process = GoodJob::Process.create!(id: SecureRandom.uuid, state: {})
    expect(create(batch_id: jobs.id, batch_callback_id: callbacks.id, locked_by_id: process.id))
      .to have_attributes(batch: jobs, callback_batch: callbacks, locked_by_process: process)
    expect(create(batch_id: SecureRandom.uuid)).to have_attributes(batch: nil, callback_batch: nil, locked_by_process: nil)
  end

  it "has the constants that GoodJob has" do
    expect([GoodJob::Job::DEFAULT_QUEUE_NAME, GoodJob::Job::DEFAULT_PRIORITY, GoodJob::Job::ERROR_MESSAGE_SEPARATOR]).to eq ["default", 0, ": "]
    expect(GoodJob::Job::PreviouslyPerformedError).to be < StandardError
  end

  it "has callbacks, which a worker does not run" do
    called = []
    GoodJob::Job.before_perform { called << :before }
    GoodJob::Job.around_perform { |_job, block| (called << :around) && block.call }
    GoodJob::Job.after_perform { called << :after }
    GoodJob::Job.after_perform_unlocked { called << :unlocked }
    job = create.run_callbacks(:perform) { RecordJob.perform_later }
    expect(called).to eq %i[before around after]
    GoodJob::Job.where.not(id: job.job_id).delete_all
    run_jobs
    expect([events(job), called.size]).to eq [["ran"], 3]
  ensure
    %i[perform perform_unlocked].each { |name| GoodJob::Job.reset_callbacks(name) }
  end

  it "tells of its error by an older name, too" do
    GoodJob.deprecator.silence { expect(create(error: "E: m").recent_error).to eq "E: m" }
  end

  it "is enqueued without asking its class, and locked if wanted" do
    job = GoodJob::Job.enqueue(MouseJob.new("cheese"), scheduled_at: Time.utc(2035, 1, 1), create_with_advisory_lock: true)
    expect(job).to have_attributes(job_class: "MouseJob", scheduled_at: Time.utc(2035, 1, 1))
    expect(job.owns_advisory_lock?).to be true
    job.advisory_unlock
  end

  it "becomes Active Job's own, with what is in its columns" do
    stub_const("LabelledJob", Class.new(ActiveJob::Base) { include GoodJob::ActiveJobExtensions::Labels })
    job = GoodJob::Job.find(LabelledJob.set(good_job_labels: ["a"]).perform_later("cheese").job_id)
    expect(job.active_job).to have_attributes(job_id: job.id, provider_job_id: job.id, arguments: ["cheese"], good_job_labels: ["a"])
    gone = create(job_class: "GoneJob", serialized_params: { "job_class" => "GoneJob" })
    expect(gone.active_job(ignore_deserialization_errors: true)).to be_nil
    expect { gone.active_job }.to raise_error(NameError)
  end
end
