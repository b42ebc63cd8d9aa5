# frozen_string_literal: true

module GoodJob
  class Inline
    # A job's own advisory lock, around a run in the caller's thread. The caller has no heartbeat: the lock, which goes with the session, says
    # that the job runs. Inside of a transaction of the caller's it is the transaction's, and goes with that.
    class JobLock
      # @param job_id [String, nil] nil: what all keys begin with
      # @return [String] the text that is hashed, by GoodJob's own rule
      def self.key(job_id)
        "#{Database.tables.fetch(:jobs)}-#{job_id}"
      end

      # @return [ActiveRecord::ConnectionAdapters::AbstractAdapter] this thread's
      attr_reader :connection

      # The session that takes the lock must give it up, and the end of a job may have given the connection back to its pool.
      def initialize
        @connection = Statements.connection
        @session = !@connection.transaction_open?
      end

      # Around a job that is inserted. Inside of a transaction nobody else sees it.
      def around(job_id)
        return yield unless @session

        begin
          take(job_id)
          yield
        ensure
          give_up(job_id)
        end
      end

      # Around a job that waits. Others see it until it is claimed, and workers of GoodJob in :advisory after that too.
      # @param claim [#call] claims a job, and takes its lock for the transaction; returns an {Attempt} or nil
      # @yieldparam attempt [Attempt]
      # @return [Object, nil] what the block returns; nil: there was no job
      def around_claim(claim)
        attempt = nil
        # What is raised in this thread meanwhile undoes all of it. The session's lock would stay, and so is taken last, for a job that is
        # known; it never waits, as the transaction has the lock.
        BaseRecord.transaction do
          attempt = claim.call
          take(attempt.run.job_id) if attempt && @session
        end
        yield attempt if attempt
      ensure
        release(attempt) if attempt
      end

      private

      def take(job_id)
        Statements.run("hold_job", [self.class.key(job_id)], @connection)
      end

      def give_up(job_id)
        Statements.run("let_go_of_job", [self.class.key(job_id)], @connection) if @connection.active?
      end

      def release(attempt)
        attempt.give_back unless attempt.begun?
      ensure
        give_up(attempt.run.job_id) if @session
      end
    end
  end
end
