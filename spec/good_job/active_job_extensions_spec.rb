# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe GoodJob::ActiveJobExtensions, :database, :integration do
  describe "Labels" do
    before do
      stub_const("MouseJob", Class.new(ActiveJob::Base) do
        include GoodJob::ActiveJobExtensions::Labels
        self.good_job_labels = %w[pet]

        def perform
          SpecRun.record(self, good_job_labels.join(","))
        end
      end)
    end

    it "are the class's, or the job's own, in their column and not in the payload" do
      job = MouseJob.perform_later
      own = MouseJob.set(good_job_labels: [:wild, " grey ", "grey", "", nil]).perform_later
      none = MouseJob.set(good_job_labels: []).perform_later
      expect([job, own, none].map { |enqueued| row(enqueued).labels }).to eq [%w[pet], %w[wild grey], nil]
      expect(row(own).serialized_params.to_s).not_to include "grey"
    end

    it "are known to the job that runs, and to each job its own" do
      job = MouseJob.set(good_job_labels: %w[wild]).perform_later
      run_jobs
      expect(events(job)).to eq ["wild"]
      MouseJob.new.good_job_labels << "mine"
      expect([MouseJob.good_job_labels, MouseJob.new.good_job_labels]).to eq [%w[pet], %w[pet]]
    end

    it "stay with a job that is retried, as it changed them" do
      MouseJob.retry_on(IOError, wait: 3600, attempts: 2)
      MouseJob.define_method(:perform) do
        good_job_labels << "tried"
        raise IOError
      end
      job = MouseJob.perform_later
      start_capsule
      wait_until("the retry") { row(job).error }
      expect(row(job).labels).to eq %w[pet tried]
    end

    it "may be many, and long up to a limit that is said" do
      many = MouseJob.set(good_job_labels: (1..10_000).map(&:to_s)).perform_later
      expect(row(many).labels.size).to eq 10_000
      expect { MouseJob.set(good_job_labels: ["x" * 1_000_000]).perform_later }.to raise_error(ArgumentError, /label.*1000000 bytes.*2600/)
    end
  end

  describe "NotifyOptions" do
    def announced?(&block)
      session = PG.connect(SpecDatabase.url)
      session.exec("LISTEN good_job")
      block.call
      session.exec("NOTIFY good_job, 'end'")
      payloads = []
      payloads << nil while session.wait_for_notify(5) { |*, payload| payloads << payload } && payloads.last != "end"
      payloads.compact != ["end"]
    ensure
      session&.close
    end

    before { stub_const("MouseJob", Class.new(ActiveJob::Base) { include GoodJob::ActiveJobExtensions::NotifyOptions }) }

    it "silence a class, or one job, and the job has the last word" do
      expect(announced? { MouseJob.perform_later }).to be true
      expect(announced? { MouseJob.set(good_job_notify: false).perform_later }).to be false
      MouseJob.good_job_notify = false
      expect(announced? { MouseJob.perform_later }).to be false
      expect(announced? { MouseJob.set(good_job_notify: true).perform_later }).to be true
      expect(announced? { GoodJob::Bulk.enqueue { 2.times { MouseJob.perform_later } } }).to be false
    end

    it "are in the payload where the job says something" do
      expect(MouseJob.new.serialize).not_to have_key("good_job_notify")
      job = MouseJob.set(good_job_notify: false).perform_later
      expect(row(job).serialized_params).to include("good_job_notify" => false)
      expect(row(job).active_job.good_job_notify).to be false
    end
  end
end
