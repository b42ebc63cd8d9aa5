# frozen_string_literal: true

require_relative "../support/integration"

RSpec.describe "A job that holds Ruby's global lock", :database, :integration do
  let(:pipe) { File.join(File.dirname(latch.path), "pipe").tap { |path| File.mkfifo(path) } }

  def blocked_seconds(process_id)
    GoodJob::Process.find(process_id).state.fetch("ruby_blocked_seconds")
  end

  it "costs its process none of its jobs, and is reported: at the time on the standard error and in the process's row, afterwards in the log" do
    worker = running_worker("--max-threads=2", configuration: <<~RUBY)
      config.good_job.on_thread_error = ->(error) { puts "told of \#{error.class}: \#{error.message}" }
    RUBY
    process_id = GoodJob::Process.first.id
    running_worker("--queues=none") # would put jobs back
    other = LatchedJob.perform_later(latch.path)
    wait_for_event(other, "started")
    expect(blocked_seconds(process_id)).to eq 0
    job = SelfishJob.perform_later(pipe)
    wait_for_event(job, "started")

    said = worker.wait_for_output(/^GoodJob: Ruby has not run for (\d+) s in process #{worker.pid}: .*Under way: (.*)\. The process keeps/)
    expect(Integer(said[1])).to be_between(10, 15)
    expect(said[2].split(", ")).to contain_exactly("SelfishJob #{job.job_id}", "LatchedJob #{other.job_id}")
    # Longer than a process may be silent.
    wait_until("the process's row to say so", limit_seconds: 40) { blocked_seconds(process_id) >= 24 }
    expect([job, other].map { |it| row(it).locked_by_id }).to eq [process_id, process_id]

    File.write(pipe, "x")
    latch.open
    wait_until_finished(job, other)
    expect([job, other].map { |it| events(it) }).to eq [%w[started finished]] * 2
    worker.wait_for_output(/told of GoodJob::BlockedError: Ruby did not run for \d+ s, .*SelfishJob #{job.job_id}/)
    worker.wait_for_output(/GoodJob errored: GoodJob::BlockedError: Ruby did not run for/)
    wait_until("the process's row to say that it is over") { blocked_seconds(process_id).zero? }
    expect(worker.output.scan("Ruby has not run").size).to eq 2 # at 10 s, at twice that, …
    expect(worker.stop.exitstatus).to eq 0
  end

  it "is not what a capsule reports that has nothing to do, or much" do
    capsule = start_capsule(max_threads: 3)
    jobs = Array.new(200) { QuickJob.new }
    ActiveJob::Base.queue_adapter.enqueue_all(jobs)
    wait_until_finished(*jobs)
    expect(capsule.snapshot).to include(blocked_us: 0)
  end
end
