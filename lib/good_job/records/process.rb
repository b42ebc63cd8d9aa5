# frozen_string_literal: true

require "socket"

module GoodJob
  # A process that runs jobs; updated_at is its heartbeat. The runtime writes and removes the rows; these are for looking at them.
  class Process < BaseRecord
    include AdvisoryLockable

    # A row that has not been touched for so long should have been.
    STALE_INTERVAL = 30.seconds
    # The process of a row that has not been touched for so long is dead.
    EXPIRED_INTERVAL = 5.minutes

    good_job_table "good_job_processes"
    self.implicit_order_column = "created_at"

    enum_column :lock_type, LOCK_TYPES.slice(:advisory)

    has_many :locked_jobs, class_name: "GoodJob::Job", foreign_key: :locked_by_id, inverse_of: :locked_by_process

    after_destroy -> { locked_jobs.update_all(Job.unlocked) }

    # Processes that live: they hold their advisory locks or, where they have none, were seen lately.
    scope :active, lambda {
      unlockable = unscoped.where(lock_type: nil, updated_at: EXPIRED_INTERVAL.ago..)
      where(id: unscoped.where(lock_type: :advisory).advisory_locked.select(:id)).or(where(id: unlockable.select(:id)))
    }
    scope :inactive, -> { where.not(id: unscoped.active.select(:id)) }

    class << self
      # Removes the rows of dead processes and lets go of their jobs. Workers do this by themselves, and tell the jobs of it.
      def cleanup
        inactive.find_each(&:destroy)
      end

      # @return [Process]
      def find_or_create_record(id:, with_advisory_lock: false)
        find_by(id: id) || create_record(id, with_advisory_lock)
      rescue ActiveRecord::RecordNotUnique
        find(id)
      end

      # @return [Hash] what this process would say of itself
      def process_state
        {
          hostname: Socket.gethostname, pid: ::Process.pid, proctitle: $PROGRAM_NAME,
          preserve_job_records: GoodJob.preserve_job_records.respond_to?(:call) || GoodJob.preserve_job_records,
          retry_on_unhandled_error: GoodJob.retry_on_unhandled_error, **vitals
        }
      end

      # @return [Hash] the part of it that changes: memory in kB, and the connections that the application has open, and uses
      def vitals
        connections = connection_pool.stat
        { memory: memory_usage(::Process.pid), database_connection_pool: { size: connections[:size], active: connections[:busy] } }
      end

      # @return [Boolean] whether this is the id of a process that claims jobs by itself
      def runtime?(id)
        unscoped.where(id: id).exists?(["state ->> 'runtime' = ?", "good_job_rs"])
      end

      # @return [Integer, nil] kB of memory in use; nil: the system does not say
      def memory_usage(pid)
        File.read("/proc/#{pid}/status")[/^VmRSS:\s+(\d+)/, 1]&.to_i
      rescue SystemCallError
        nil
      end

      private

      def create_record(id, with_advisory_lock)
        lock = { lock_type: :advisory, create_with_advisory_lock: true } if with_advisory_lock
        create!(id: id, state: process_state, **lock.to_h)
      end
    end

    # Says anew what this process is.
    # @return [Boolean] false: the row is gone
    def refresh
      reload
      update(state: state.to_h.merge(self.class.process_state.stringify_keys), updated_at: Time.current)
    rescue ActiveRecord::RecordNotFound
      false
    end

    # @param cleanup [Boolean] whether to clean up after dead processes as well
    def refresh_if_stale(cleanup: false)
      return unless stale?

      refresh
      self.class.cleanup if cleanup
    end

    def stale?
      updated_at < STALE_INTERVAL.ago
    end

    def expired?
      updated_at < EXPIRED_INTERVAL.ago
    end

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
