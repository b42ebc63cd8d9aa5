# frozen_string_literal: true

require_relative "../../bench/support/command_line"
require_relative "../support/listener"

RSpec.describe Bench::ManyJobs, :database do
  let(:connection) { PG.connect(SpecDatabase.url).tap { |connection| connection.exec("SET TimeZone TO 'UTC'") } }

  after { connection.close }

  def many_jobs(job_class = "SomeJob")
    id = SecureRandom.uuid
    params = JSON.generate(job_class: job_class, job_id: id, queue_name: "default", arguments: [7])
    connection.exec_params(<<~SQL, [id, params, job_class])
      INSERT INTO good_jobs (id, active_job_id, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at, job_class)
      VALUES ($1, $1, 'default', 3, $2, LOCALTIMESTAMP, LOCALTIMESTAMP, LOCALTIMESTAMP, $3)
    SQL
    described_class.of(connection, id)
  end

  def rows(columns, order: "scheduled_at, id")
    connection.exec("SELECT #{columns} FROM good_jobs ORDER BY #{order}").values
  end

  it "copies the sample, and gives each copy ids of its own" do
    many_jobs.ready(20)

    ids = rows("id, active_job_id, serialized_params->>'job_id'")
    expect(ids.uniq.size).to eq 20
    expect(ids).to all(satisfy { |of_one| of_one.uniq.size == 1 })
    expect(rows("priority, queue_name, job_class, serialized_params->'arguments'").uniq).to eq [%w[3 default SomeJob [7]]]
  end

  it "takes the sample away" do
    many_jobs

    expect(rows("id")).to be_empty
  end

  it "lets queues take turns, also in what Active Job serialized" do
    many_jobs.ready(6, queues: %w[mice elephants])

    expect(rows("queue_name").flatten.tally).to eq("mice" => 3, "elephants" => 3)
    expect(rows("queue_name = serialized_params->>'queue_name'").uniq).to eq [["t"]]
  end

  it "makes jobs that are due, and mixes those of one transaction" do
    connection.transaction { { "Seldom" => 2, "Often" => 6 }.each { |name, count| many_jobs(name).ready(count) } }

    expect(rows("scheduled_at <= LOCALTIMESTAMP").uniq).to eq [["t"]]
    halves = rows("job_class").flatten.each_slice(4).map(&:tally)
    expect(halves).to eq([{ "Seldom" => 1, "Often" => 3 }] * 2)
  end

  it "makes jobs that are due another day" do
    many_jobs.future(3)

    expect(rows("scheduled_at > LOCALTIMESTAMP + interval '23 hours'").uniq).to eq [["t"]]
  end

  it "announces the first of each queue" do
    heard = Listener.during(SpecDatabase.url) { many_jobs.ready(5, queues: %w[mice elephants]) }

    expect(heard.map { |message| message.values_at("queue_name", "count", "priority") }).to contain_exactly(["mice", 2, 3], ["elephants", 3, 3])
    first = connection.exec("SELECT min(scheduled_at) FROM good_jobs WHERE queue_name = 'mice'").getvalue(0, 0)
    said = heard.find { |message| message["queue_name"] == "mice" }.fetch("scheduled_at")
    expect(Time.parse(said)).to eq Time.parse("#{first} UTC")
  end
end
