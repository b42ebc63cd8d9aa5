# frozen_string_literal: true

module GoodJob
  # Every error of this gem is one of these, or an ArgumentError for a wrong setting.
  class Error < StandardError; end

  # Raised inside a job by {ActiveJobExtensions::InterruptErrors} when the job's previous attempt was cut short.
  class InterruptError < Error; end

  # What is stored for an attempt that died with its process. Never raised.
  class InterruptedError < InterruptError; end

  # What is stored for a job that is discarded because its attempts were cut short again and again: config.good_job.max_interruptions.
  class InterruptionLimitError < Error; end

  # A job's row does not hold what Active Job serializes.
  class PayloadError < Error; end

  # A run ended whose job had meanwhile been given to another process. Reported, never raised.
  class LostLeaseError < Error; end

  # The runtime could not do something and tries again. Reported, never raised.
  class RuntimeFault < Error; end

  # Ruby did not run for a while: a job, or a library, held its global lock. Reported, never raised.
  class BlockedError < Error; end

  # The runtime has been stopped.
  class StoppedError < Error; end

  # The runtime belongs to the process that this one was forked from.
  class ForkedError < Error; end

  # A defect of the native library: it panicked.
  class NativePanicError < Error; end

  # The database cannot hold GoodJob's tables.
  class DatabaseError < Error; end
end
