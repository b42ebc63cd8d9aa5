# frozen_string_literal: true

module GoodJob # rubocop:disable Style/Documentation -- good_job.rb
  # Ruby calls Process._fork for every fork but that of Process.daemon; there, and wherever this hook is not reached, the capsule notices
  # by the process id.
  module ProcessFork
    def _fork
      super.tap { |pid| ProcessFork.enter_child if pid.zero? }
    end

    class << self
      # In a forked process: leaves everything to the parent that is the parent's.
      # @return [void]
      def enter_child
        ran_jobs = Capsule.instances.map(&:leave_parent).intersect?(%i[running draining])
        keep_connections if ran_jobs
      end

      private

      # Job threads connect while another thread forks. A connection that Active Record has not yet taken into its pool is not discarded
      # in the child, where nobody knows it: when collected, libpq would say goodbye on the socket that it shares with the parent, and
      # end the session of a running job. They are kept until the process ends, and are silent then.
      def keep_connections
        return unless defined?(PG::Connection)

        connections = ObjectSpace.each_object(PG::Connection).to_a
        at_exit { connections.each { |connection| silence(connection) } }
      end

      def silence(connection)
        connection.socket_io.reopen(IO::NULL)
      rescue StandardError
        nil # It was closed, or had not been opened.
      end
    end
  end

  ::Process.singleton_class.prepend(ProcessFork)
end
