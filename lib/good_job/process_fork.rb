# frozen_string_literal: true

module GoodJob # rubocop:disable Style/Documentation -- good_job.rb
  # Ruby calls Process._fork for every fork but that of Process.daemon; there, and wherever this hook is not reached, the capsule notices
  # by the process id.
  module ProcessFork
    def _fork
      super.tap { |pid| Capsule.instances.each(&:leave_parent) if pid.zero? }
    end
  end

  ::Process.singleton_class.prepend(ProcessFork)
end
