# frozen_string_literal: true

module GoodJob
  # A process that runs jobs; updated_at is its heartbeat.
  class Process < BaseRecord
    good_job_table "good_job_processes"
    self.implicit_order_column = "created_at"

    enum_column :lock_type, LOCK_TYPES.slice(:advisory)

    has_many :locked_jobs, class_name: "GoodJob::Job", foreign_key: :locked_by_id, inverse_of: :locked_by_process

    # @return [String, nil] the program's name, without its directory
    def basename
      File.basename(state["proctitle"]) if state.to_h["proctitle"]
    end

    # @return [Array<Hash>] what the process says of its pools
    def schedulers
      state.to_h.fetch("schedulers", [])
    end

    ActiveSupport.run_load_hooks(:good_job_process, self)
  end
end
