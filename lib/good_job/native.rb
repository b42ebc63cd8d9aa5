# frozen_string_literal: true

require "good_job/errors"

module GoodJob
  # The Rust half as Ruby sees it. Only nil, booleans, numbers, strings, arrays and symbol-keyed hashes cross, none of them with a
  # default: every key is required unless said otherwise, and an unknown one is an ArgumentError that names it. Points in time are
  # integers, µs since the Unix epoch; durations are integers, µs.
  #
  # @!method self.statement(name)
  #   The text of a statement of ext/core/sql, its tables still as placeholders: `{jobs}`, `{executions}`, `{processes}`, `{batches}`,
  #   `{settings}`.
  #   @param name [String] the file's name without ".sql"
  #   @return [String]
  #   @raise [ArgumentError] no such statement
  #
  # @!method self.parse_queues(queues)
  #   @param queues [String] as in `config.good_job.queues`: "mice:2;elephants:4"
  #   @return [Array<Hash>] one a pool: `{name: String, queues: Hash, max_threads: Integer | nil}`; queues is `{all: true}`,
  #     `{include: [String]}`, `{exclude: [String]}` or `{include: [String], ordered_queues: true}`
  #   @raise [ArgumentError] quotes the part that is wrong
  #
  # @!method self.transition(outcome)
  #   What an outcome does to a job's row, for the inline mode, which writes it on the application's connection.
  #   @param outcome [Hash] see {Outcome}
  #   @return [Hash] `{action: "finish" | "retry" | "interrupt" | "release" | "delete", error:, error_event: Integer | nil,
  #     error_backtrace:, serialized_params:, scheduled_at:, queue_name:, priority:, labels:, record_execution:}`
  module Native
    # Claims, listens, completes and stays alive, on threads of its own that never need Ruby's lock.
    #
    # @!method initialize(options)
    #   Checks the options. Connects to nothing and starts nothing.
    #   @param options [Hash] see {Capsule::Launch}
    #   @raise [ArgumentError] an option is wrong
    #
    # @!method start
    #   Starts the runtime's thread and returns at once; {#next_event} tells when it is connected.
    #   @raise [ForkedError] as every method, in a process forked from the one that made this runtime
    #
    # @!method process_id
    #   @return [String] the uuid under which this runtime claims
    #
    # @!method pools
    #   @return [Array<Hash>] `{name:, max_threads:}`
    #
    # @!method try_take(pool_index)
    #   A claim, if one lies ready. Waits for nothing, and no interrupt is raised in it.
    #   @return [Hash, nil] as {#take}; nil: there is none now, or never again
    #
    # @!method take(pool_index)
    #   Waits for a claim; other Ruby threads run meanwhile, and Thread#raise, Thread#kill and signals end the wait.
    #   @return [Hash, nil] nil: the runtime is draining or stopped. `{lease: Integer, id:, serialized_params: String | nil}`, and where
    #     there is one `concurrency_key:`, `labels: [String]`, `interrupted_at:`; `stamped: true` where the start is on record,
    #     `stamp_first: true` where {#started} must be called before the job runs
    #
    # @!method adopt(pool_index, job)
    #   Begins the run of a job that was claimed by a statement of the caller's own, under {#process_id}.
    #   @param job [Hash] `{id:, token_us: Integer (locked_at, µs since 2000), claimed_at:, executions_count:, interrupted_at:, rescued:, queue_name:,
    #     priority:, job_class:, scheduled_at:, created_at:}`
    #   @return [Integer] the lease, as in {#take}
    #
    # @!method describe(lease)
    #   What is seldom asked of a claim, and so is not part of it.
    #   @return [Hash] `{queue_name:, priority:, job_class:, executions_count: Integer (attempts before this one), scheduled_at:,
    #     created_at:}`
    #
    # @!method started(lease)
    #   Stores that the run begins, before it begins.
    #   @return [Boolean] false: the lease is lost and the job must not be run
    #
    # @!method finish(lease, outcome)
    #   Hands over how a run ended; waits only when too many outcomes are unsaved.
    #   @param outcome [Hash] see {Outcome}
    #
    # @!method drain
    #   Claims no more and gives back what no thread has taken; {#take} returns nil from now on.
    #
    # @!method stop(timeout_us)
    #   Drains, saves the outcomes, takes leave of the database and ends the runtime's threads. Twice is fine.
    #   @param timeout_us [Integer, nil] nil: as long as it takes
    #   @return [Boolean] false: some outcomes could not be saved in time
    #
    # @!method look(queue_name, scheduled_at)
    #   Says that there is a job, as an announcement does, but to this process only.
    #   @param queue_name [String, nil] nil: any
    #   @param scheduled_at [Integer, nil] nil: now
    #   @return [Boolean, nil] whether a pool takes from the queue; nil: no thread is free, or nothing is claimed
    #
    # @!method note_vitals(vitals)
    #   Says how the process is doing, for its row; wanted whenever {#next_event} says `vitals_wanted`.
    #   @param vitals [Hash] what becomes part of the row's state
    #
    # @!method snapshot
    #   @return [Hash] `{state: "new" | "starting" | "running" | "draining" | "closing" | "flushing" | "stopped",
    #     connected: Boolean, listening: Boolean,
    #     pools: [{name:, max_threads:, active_threads:, available_threads:, buffered:, succeeded:, errored:, total:, empty:}],
    #     unsaved_outcomes: Integer, blocked_us: Integer (for how long Ruby has not run)}`
    #
    # @!method answer_pulse
    #   Answers whenever the runtime asks whether Ruby runs, until it has stopped. For one thread.
    #
    # @!method next_event
    #   Waits for the next thing to tell.
    #   @return [Hash, nil] `{name: String, …}`, see {Events}; nil: stopped, nothing left to tell
    class Runtime # rubocop:disable Lint/EmptyClass -- the library fills it
    end

    # A checkout holds one library for each Ruby, an installed gem just the one it was built for.
    def self.load_library
      require "good_job_rs/#{RUBY_VERSION[/\d+\.\d+/]}/good_job_rs"
    rescue LoadError => e
      raise unless e.path&.end_with?("/good_job_rs")

      load_installed_library
    end

    def self.load_installed_library
      require "good_job_rs.so"
    rescue LoadError => e
      raise LoadError, "GoodJob's native library is not built for Ruby #{RUBY_VERSION} (#{e.message}). In a checkout of good_job_rs, run " \
                       "`bundle exec rake compile`; otherwise reinstall the gem: `gem pristine good_job_rs`."
    end

    private_class_method :load_library, :load_installed_library
    load_library
  end
end
