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

    it "stay away from a job that was enqueued without those of its class, when it runs, is tried again or put back" do
      MouseJob.retry_on(IOError, wait: 0, attempts: 2)
      MouseJob.define_method(:perform) do
        SpecRun.record(self, good_job_labels.join(","))
        raise IOError if executions < 3
      end
      job = MouseJob.set(good_job_labels: []).perform_later
      expect { GoodJob.perform_inline }.to raise_error(IOError)
      expect(row(job).active_job.good_job_labels).to eq []
      row(job).retry_job
      run_jobs
      expect([events(job), row(job).labels]).to eq [["", "", ""], nil]
    end

    it "may be many, and long up to a limit that is said" do
      many = MouseJob.set(good_job_labels: (1..10_000).map(&:to_s)).perform_later
      expect(row(many).labels.size).to eq 10_000
      expect { MouseJob.set(good_job_labels: ["x" * 1_000_000]).perform_later }.to raise_error(ArgumentError, /label.*1000000 bytes.*2600/)
    end
  end

  describe "Concurrency" do
    def limited_job(name = "MouseJob", parent = ActiveJob::Base, &block)
      stub_const(name, Class.new(parent) do
        include GoodJob::ActiveJobExtensions::Concurrency

        class_eval(&block) if block
        def perform
          SpecRun.record(self, "ran")
        end
      end)
    end

    it "keeps what a class says, in place of what it said before; rules are added, and go to subclasses" do
      limited_job do
        good_job_control_concurrency_with(total_limit: 1, key: "a")
        good_job_control_concurrency_with(enqueue_limit: 2)
        good_job_concurrency_rule(label: "grey", total_limit: 3)
        good_job_concurrency_rule(key: "b", perform_limit: 4)
      end
      limited_job("RatJob", MouseJob) { good_job_concurrency_rule(label: "big", total_limit: 5) }
      limited_job("CatJob")
      rules = GoodJob::ActiveJobExtensions::Concurrency::Rule
      expect(MouseJob.good_job_concurrency_config).to eq(enqueue_limit: 2)
      expect(MouseJob.good_job_concurrency_rules).to all(be_a(rules))
      expect(MouseJob.good_job_concurrency_rules.map { |rule| [rule[:label], rule[:key]] }).to eq [["grey", nil], [nil, "b"]]
      expect(RatJob.good_job_concurrency_rules.map { |rule| rule[:label] }).to eq ["grey", nil, "big"]
      expect([CatJob.good_job_concurrency_config, CatJob.good_job_concurrency_rules]).to eq [{}, []]
    end

    it "lets a job have a key of its own" do
      limited_job { good_job_control_concurrency_with(total_limit: 1, key: "a") }
      job = MouseJob.new.tap { |mouse| mouse.good_job_concurrency_key = "own" }
      expect([job.enqueue, MouseJob.perform_later, MouseJob.perform_later].map { |enqueued| enqueued ? true : false }).to eq [true, true, false]
      expect(GoodJob::Job.pluck(:concurrency_key)).to contain_exactly("own", "a")
    end

    it "has errors for limits and for throttles, without backtraces" do
      errors = GoodJob::ActiveJobExtensions::Concurrency
      expect(errors::ThrottleExceededError).to be < errors::ConcurrencyExceededError
      expect { raise errors::ThrottleExceededError, "too soon" }.to raise_error { |error| expect(error.backtrace).to eq [] }
    end

    it "tells a job that starts too soon, where the class handles that itself" do
      limited_job do
        good_job_control_concurrency_with(perform_throttle: [1, 1.hour])
        discard_on(GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError)
      end
      2.times { MouseJob.perform_later }
      run_jobs(max_threads: 1)
      name = "GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError"
      expect(GoodJob::Job.where.not(error: nil).to_a).to match [have_attributes(error: start_with("#{name}: "), error_event: "discarded")]
      expect(events).to eq ["ran"]
    end

    it "fails a job whose key is of a wrong type when it is to run, and no other" do
      limited_job { good_job_concurrency_rule(label: "grey", key: -> { { cheese: 1 } }, perform_limit: 1) }
      bad = MouseJob.set(good_job_labels: ["grey"]).perform_later
      good = MouseJob.perform_later
      run_jobs(max_threads: 1)
      expect(row(bad)).to have_attributes(error: "TypeError: Concurrency key must be a String; was a Hash", error_event: "unhandled")
      expect(events(good)).to eq ["ran"]
    end

    { "an Array" => [1], "a Hash" => { a: 1 }, "a class" => Object, "an object" => Object.new }.each do |what, key|
      it "refuses #{what} for a key when a job is enqueued, and enqueues nothing" do
        limited_job { good_job_control_concurrency_with(total_limit: 1, key: -> { key }) }
        limited_job("RatJob") { good_job_concurrency_rule(key: -> { key }, total_limit: 1) }
        message = "Concurrency key must be a String; was a #{key.class}"
        expect { MouseJob.perform_later }.to raise_error(TypeError, message)
        expect { RatJob.perform_later }.to raise_error(TypeError, message)
        expect { GoodJob::Bulk.enqueue([MouseJob.new]) }.to raise_error(TypeError, message)
        expect { MouseJob.new.tap { |job| job.good_job_concurrency_key = key }.enqueue }.to raise_error(TypeError, message)
        expect(GoodJob::Job.count).to eq 0
      end
    end
  end

  describe "Batches" do
    it "say at the level debug that another adapter's job is neither in the batch nor in bulk" do
      stub_const("RatJob", Class.new(ActiveJob::Base) { include GoodJob::ActiveJobExtensions::Batches })
      RatJob.queue_adapter = :test
      log = StringIO.new
      GoodJob.logger = Logger.new(log)
      RatJob.perform_later
      expect(log.string).to be_empty
      GoodJob::Batch.enqueue { RatJob.perform_later }
      GoodJob::Batch.within_thread(batch_id: SecureRandom.uuid) { RatJob.perform_later }
      expect(log.string.scan(/DEBUG.*RatJob .*its queue adapter is not GoodJob's/).size).to eq 2
      expect([RatJob.queue_adapter.enqueued_jobs.size, GoodJob::Job.count]).to eq [3, 0]
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
