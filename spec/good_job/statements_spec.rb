# frozen_string_literal: true

require "good_job"
require_relative "../support/database"

RSpec.describe GoodJob::Statements, :database do
  let(:connection) { described_class.connection }

  def read_pauses
    described_class.run("read_pauses", [], connection)
  end

  it "prepares them on the application's connection" do
    allow(connection).to receive(:exec_query).and_call_original
    read_pauses
    expect(connection).to have_received(:exec_query).with(anything, "GoodJob read_pauses", [], prepare: true)
  end

  it "prepares none where the connection may not, as behind a pooler" do
    allow(connection).to receive(:exec_query).and_call_original
    connection.unprepared_statement { read_pauses }
    expect(connection).to have_received(:exec_query).with(anything, "GoodJob read_pauses", [], prepare: false)
  end
end
