# frozen_string_literal: true

module Bench
  module Inside
    # What of this process is in memory.
    module Memory
      RESIDENT_KB = /^VmRSS:\s+(\d+) kB/

      class << self
        # @return [Float] MB, without what is garbage already
        def resident_mb
          GC.start
          Integer(File.read("/proc/self/status")[RESIDENT_KB, 1]) / 1024.0
        end
      end
    end
  end
end
