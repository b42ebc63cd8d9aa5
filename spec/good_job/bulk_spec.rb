# frozen_string_literal: true

require_relative "../support/integration"
require_relative "../support/listener"

RSpec.describe GoodJob::Bulk, :database, :integration do
  before { stub_const("MouseJob", Class.new(ActiveJob::Base)) }

  def inserts(&block)
    statements(&block).grep(/INSERT/)
  end

  it "enqueues what a block enqueues, in one statement" do
    jobs = nil
    inserted = inserts { jobs = described_class.enqueue { 3.times { |number| MouseJob.set(wait: number).perform_later(number) } } }
    expect(inserted.size).to eq 1
    expect(jobs.map(&:provider_job_id)).to match_array(GoodJob::Job.ids)
    expect(GoodJob::Job.distinct.count(:scheduled_at)).to eq 3
  end

  it "enqueues jobs that it is given, a thousand a statement, and each once" do
    jobs = Array.new(2_001) { MouseJob.new }
    expect(inserts { described_class.enqueue(jobs) }.size).to eq 3
    expect(GoodJob::Job.count).to eq 2_001
    expect(inserts { described_class.enqueue(jobs) }).to be_empty
    expect(described_class.enqueue(MouseJob.new).size).to eq 1
  end

  it "enqueues nothing when the block fails" do
    expect do
      described_class.enqueue do
        MouseJob.perform_later
        raise "no cheese"
      end
    end.to raise_error(RuntimeError, "no cheese")
    expect([GoodJob::Job.count, described_class.current_buffer]).to eq [0, nil]
  end

  it "captures without enqueueing, and puts jobs into the buffer that is open" do
    expect(described_class.capture { MouseJob.perform_later }).to match [have_attributes(provider_job_id: nil)]
    expect(described_class.capture(MouseJob.new)).to be_nil
    jobs = described_class.capture { expect(described_class.capture([MouseJob.new, MouseJob.new])).to be true }
    expect([jobs.size, GoodJob::Job.count]).to eq [2, 0]
  end

  it "enqueues the open buffer when told, and what is not to be buffered at once" do
    described_class.capture do
      MouseJob.perform_later
      described_class.unbuffer { MouseJob.perform_later }
      expect(GoodJob::Job.count).to eq 1
      described_class.enqueue
      expect(GoodJob::Job.count).to eq 2
    end
    expect(described_class.enqueue).to be_nil
  end

  it "keeps blocks inside of blocks apart" do
    described_class.enqueue do
      MouseJob.perform_later
      described_class.enqueue { MouseJob.perform_later }
      expect(GoodJob::Job.count).to eq 1
    end
    expect(GoodJob::Job.count).to eq 2
  end

  it "refuses a block and jobs at once" do
    expect { described_class.enqueue([]) { nil } }.to raise_error(ArgumentError, /not both/)
    expect { described_class.capture([]) { nil } }.to raise_error(ArgumentError, /not both/)
  end

  it "leaves to other adapters what is theirs" do
    stub_const("RatJob", Class.new(ActiveJob::Base))
    RatJob.queue_adapter = :test
    described_class.enqueue([MouseJob.new, RatJob.new])
    expect(GoodJob::Job.pluck(:job_class)).to eq ["MouseJob"]
    expect(RatJob.queue_adapter.enqueued_jobs.size).to eq 1
  end

  it "takes the jobs of perform_all_later too, and runs them at once inline" do
    use_adapter(:inline)
    jobs = described_class.enqueue { 2.times { RecordJob.perform_later } }
    expect(events.size).to eq 2
    expect(jobs.map { |job| row(job).status }).to eq %i[succeeded succeeded]
  end

  describe "inline" do
    before { use_adapter(:inline) }

    let(:failing) { Class.new(ActiveJob::Base) { define_method(:perform) { raise "no cheese" } } }
    let(:limited) do
      Class.new(RecordJob) do
        include GoodJob::ActiveJobExtensions::Concurrency

        good_job_control_concurrency_with(total_limit: 1)
      end
    end

    it "leaves those after one that raises in the queue, and has run those before it, in order, limits or not" do
      stub_const("FailingJob", failing)
      stub_const("LimitedJob", limited)
      jobs = [RecordJob.new("first"), LimitedJob.new("second"), FailingJob.new, LimitedJob.new, RecordJob.new]
      expect { described_class.enqueue(jobs) }.to raise_error("no cheese")
      expect(events).to eq %w[first second]
      expect(jobs.map { |job| row(job).status }).to eq %i[succeeded succeeded discarded queued queued]
      expect(GoodJob.perform_inline).to eq 2
    end

    {
      "a throw" => ->(jobs) { catch(:out) { described_class.enqueue(jobs) } },
      "the end of the thread" => ->(jobs) { Thread.new { described_class.enqueue(jobs) }.join(10) }
    }.each do |what, enqueue|
      it "leaves those after one that ends by #{what} in the queue" do
        stub_const("LeavingJob", Class.new(ActiveJob::Base) do
          define_method(:perform) { what == "a throw" ? throw(:out) : Thread.current.kill }
        end)
        jobs = [RecordJob.new("first"), LeavingJob.new, RecordJob.new, RecordJob.new]
        instance_exec(jobs, &enqueue)
        expect(jobs.map { |job| row(job).finished? }).to eq [true, false, false, false]
        expect(events).to eq ["first"]
      end
    end

    it "leaves the others where one that is left cannot be enqueued either" do
      stub_const("FailingJob", failing)
      twice = RecordJob.new
      last = RecordJob.new
      expect { ActiveJob::Base.queue_adapter.enqueue_all([FailingJob.new, twice, twice, last]) }.to raise_error("no cheese")
      expect([row(twice), row(last)]).to all(have_attributes(status: :queued))
    end

    it "has each run before it goes on to the next, and returns when all have" do
      seen = []
      stub_const("SeeingJob", Class.new(ActiveJob::Base) { define_method(:perform) { seen << GoodJob::Job.group(:finished_at).count.size } })
      jobs = Array.new(3) { SeeingJob.new }
      heard = Listener.during(SpecDatabase.url) { ActiveJob::Base.queue_adapter.enqueue_all(jobs) }
      expect([seen, heard]).to eq [[1, 2, 3], []]
      expect(jobs.map { |job| row(job).status }).to all(be(:succeeded))
    end

    it "runs none where one cannot be stored" do
      jobs = [RecordJob.new, RecordJob.new(Object.new)]
      expect { ActiveJob::Base.queue_adapter.enqueue_all(jobs) }.to raise_error(ActiveJob::SerializationError)
      expect([events, GoodJob::Job.count]).to eq [[], 0]
    end

    it "leaves the jobs of other adapters in their queues, too" do
      stub_const("FailingJob", failing)
      stub_const("OutsideJob", Class.new(RecordJob) { self.queue_adapter = GoodJob::Adapter.new(execution_mode: :external) })
      jobs = [FailingJob.new, OutsideJob.new]
      expect { described_class.enqueue(jobs) }.to raise_error("no cheese")
      expect(jobs.map { |job| row(job).status }).to eq %i[discarded queued]
    end

    it "says of each that it is enqueued" do
      stub_const("LimitedJob", limited)
      jobs = [RecordJob.new, LimitedJob.new]
      skip "Active Job does not say it" unless jobs.first.respond_to?(:successfully_enqueued?)

      ActiveJob::Base.queue_adapter.enqueue_all(jobs)
      expect(jobs).to all(be_successfully_enqueued)
    end
  end

  it "runs jobs that have limits inline before the next one is counted" do
    use_adapter(:inline)
    stub_const("LimitedJob", Class.new(RecordJob) do
      include GoodJob::ActiveJobExtensions::Concurrency

      good_job_control_concurrency_with(total_limit: 1)
    end)
    described_class.enqueue([LimitedJob.new, RecordJob.new, LimitedJob.new])
    expect(GoodJob::Job.all.map(&:status)).to eq %i[succeeded succeeded succeeded]
  end

  it "takes jobs for an adapter that is not their class's" do
    other = Class.new do
      attr_reader :jobs

      def enqueue_all(jobs)
        (@jobs = jobs).size
      end
    end.new
    jobs = described_class.enqueue do
      expect(described_class.capture(MouseJob.new("other"), queue_adapter: other)).to be true
      MouseJob.perform_later("own")
    end
    expect(jobs.flat_map(&:arguments)).to eq %w[other own]
    expect(other.jobs.flat_map(&:arguments)).to eq ["other"]
    expect(GoodJob::Job.ids).to eq [jobs.last.job_id]
  end

  it "tells the adapter's callers that it has taken their jobs" do
    adapter = MouseJob.queue_adapter
    one, later, many = Array.new(3) { MouseJob.new }
    answers = nil
    taken = described_class.capture { answers = [adapter.enqueue(one), adapter.enqueue_at(later, 2_000_000_000), adapter.enqueue_all([many])] }
    expect([taken, answers, GoodJob::Job.count]).to eq [[one, later, many], [nil, nil, nil], 0]
  end

  it "has a buffer that can be used by itself, and an error of its own" do
    buffer = described_class::Buffer.new
    buffer.add([MouseJob.new, MouseJob.new])
    expect([buffer.active_jobs.size, GoodJob::Job.count]).to eq [2, 0]
    2.times { buffer.enqueue }
    expect(GoodJob::Job.count).to eq 2
    expect(described_class::Error).to be < StandardError
  end

  it "belongs to its thread" do
    described_class.capture do
      Thread.new { MouseJob.perform_later }.join
    end
    expect(GoodJob::Job.count).to eq 1
  end
end
