# frozen_string_literal: true

require_relative "postgres"

# A session that listens as workers do.
class Listener
  LIMIT_S = 10

  # @yield while it listens
  # @return [Array<Hash>] what was announced during the block
  def self.during(database_url)
    listener = new(database_url)
    yield
    listener.heard
  ensure
    listener&.close
  end

  def initialize(database_url)
    @url = database_url
    @connection = PG.connect(database_url)
    @connection.exec("LISTEN good_job")
  end

  # Postgres delivers in the order of the commits: what was committed before this call comes before its own last word.
  def heard
    last_word = SecureRandom.uuid
    Postgres.execute(@url, "SELECT pg_notify('good_job', $1)", [last_word])
    payloads = []
    while (payload = next_payload) != last_word
      payloads << JSON.parse(payload)
    end
    payloads
  end

  def close
    @connection.close
  end

  private

  def next_payload
    @connection.wait_for_notify(LIMIT_S) { |_channel, _pid, payload| return payload }
    raise "Postgres delivered nothing within #{LIMIT_S} s"
  end
end
