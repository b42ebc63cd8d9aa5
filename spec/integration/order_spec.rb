# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "Order and queues", :database, :integration do
  # @return [Array<String>] what each job calls itself, in the order in which they ran on one thread
  def order_of_runs(**options)
    run_jobs(max_threads: 1, **options)
    events
  end

  # Jobs that could run but do not: those that could and should, which come after them, have run.
  def expect_left_alone(*jobs)
    expect(jobs.map { |job| row(job) }).to all(have_attributes(performed_at: nil, finished_at: nil, locked_by_id: nil))
  end

  describe "order" do
    it "is by priority, the smallest first, and then by time" do
      now = Time.current
      [5, 0, -10, 3].each do |priority|
        [30, 90, 60].each { |age| RecordJob.set(priority: priority, wait_until: now - age).perform_later("#{priority}/#{age}") }
      end
      expect(order_of_runs).to eq %w[-10/90 -10/60 -10/30 0/90 0/60 0/30 3/90 3/60 3/30 5/90 5/60 5/30]
    end

    it "has jobs without a priority last, and jobs without a given time by their age" do
      unprioritised = RecordJob.set(wait_until: 1.day.ago).perform_later("none")
      GoodJob::Job.where(id: unprioritised.job_id).update_all(priority: nil)
      %w[a b c].each { |name| RecordJob.perform_later(name) }
      RecordJob.set(priority: 1_000_000).perform_later("lowest")
      expect(order_of_runs).to eq %w[a b c lowest none]
    end
  end

  describe "a time" do
    it "is kept to the moment, without polling, and whatever priority the job has" do
      start_capsule
      times = [0.9, 0.3, 0.6].map { |wait| wait.seconds.from_now }
      jobs = times.map { |time| RecordJob.set(priority: -100, wait_until: time).perform_later }
      wait_until_finished(*jobs)

      late_by = jobs.zip(times).map { |job, time| SpecRun.find_by!(job_id: job.job_id).at - time }
      expect(late_by).to all(be_between(0, 1.5))
      expect(SpecRun.order(:at).pluck(:job_id)).to eq jobs.values_at(1, 2, 0).map(&:job_id)
    end

    it "that has passed while nothing ran is caught up with" do
      job = RecordJob.set(wait_until: 0.2.seconds.from_now).perform_later
      wait_until("its time") { Time.current > row(job).scheduled_at }
      run_jobs
      expect(events(job)).to eq ["ran"]
    end

    it "of the far future is not awaited by anybody" do
      later = RecordJob.set(wait: 1.year, priority: -1).perform_later
      RecordJob.perform_later
      capsule = start_capsule
      wait_until("the job that is due") { events == ["ran"] }
      expect_left_alone(later)
      capsule.shutdown
      expect_left_alone(later)
    end
  end

  describe "queues" do
    it "have the threads of their pool and never more" do
      capsule = start_capsule(queues: "mice:2;elephants:1")
      mice = Array.new(5) { LatchedJob.set(queue: "mice").perform_later(latch.path) }
      elephants = Array.new(3) { LatchedJob.set(queue: "elephants").perform_later(latch.path) }
      wait_until("all threads to be busy") { SpecRun.where(event: "started").count == 3 }
      expect(GoodJob::Job.where(id: SpecRun.pluck(:job_id)).group(:queue_name).count).to eq("mice" => 2, "elephants" => 1)
      expect(capsule.snapshot[:pools].map { |pool| pool.values_at(:name, :max_threads, :active_threads) }).to eq [["mice", 2, 2], ["elephants", 1, 1]]

      latch.open
      wait_until_finished(*mice, *elephants)
      expect([most_at_once(mice), most_at_once(elephants)]).to eq [2, 1]
    end

    it "that are listed are the only ones taken from" do
      other = RecordJob.set(queue: "cats", priority: -1).perform_later
      taken = %w[mice rats].map { |queue| RecordJob.set(queue: queue).perform_later }
      start_capsule(queues: "mice, rats")
      wait_until_finished(*taken)
      expect_left_alone(other)
    end

    it "that are excluded are left alone, and all others taken from, those without a name too" do
      left = %w[cats dogs].map { |queue| RecordJob.set(queue: queue, priority: -1).perform_later }
      taken = %w[mice default].map { |queue| RecordJob.set(queue: queue).perform_later }
      nameless = RecordJob.perform_later
      GoodJob::Job.where(id: nameless.job_id).update_all(queue_name: nil)
      start_capsule(queues: "-cats,dogs")
      wait_until_finished(*taken, nameless)
      expect_left_alone(*left)
    end

    it "with a plus are emptied one after the other, each by priority" do
      [["second", 0], ["first", 9], ["second", -9], ["first", 0]].each do |queue, priority|
        RecordJob.set(queue: queue, priority: priority).perform_later("#{queue} #{priority}")
      end
      expect(order_of_runs(queues: "+first,second")).to eq ["first 0", "first 9", "second -9", "second 0"]
    end

    it "with a star among them are all queues" do
      jobs = %w[mice cats].map { |queue| RecordJob.set(queue: queue).perform_later }
      run_jobs(queues: "-mice,*")
      expect(jobs.map { |job| events(job) }).to all(eq(["ran"]))
    end

    it "of several pools are served side by side, so that slow jobs hold up no others" do
      start_capsule(queues: "slow:1;*:1")
      slow = LatchedJob.set(queue: "slow").perform_later(latch.path)
      wait_for_event(slow, "started")
      quick = Array.new(3) { RecordJob.set(queue: "quick").perform_later }
      wait_until_finished(*quick)
      expect(events(slow)).to eq ["started"]
    end

    # How many of the jobs were running at the same moment, at most.
    def most_at_once(jobs)
      runs = SpecRun.where(job_id: jobs.map(&:job_id)).order(:at).pluck(:event)
      running = 0
      runs.map { |event| running += event == "started" ? 1 : -1 }.max
    end
  end
end
