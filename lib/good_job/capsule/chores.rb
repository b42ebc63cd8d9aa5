# frozen_string_literal: true

module GoodJob
  class Capsule
    # What the runtime finds and only the application can do, one after the other on one thread of its own: advancing batches, whose
    # callbacks are the application's jobs. Nothing is lost with what is left undone here: the runtime finds it again.
    class Chores
      BATCHES_MAX = 1_000
      # What cannot be done is left alone for a while, each time twice as long: the class of a callback may come with the next deploy.
      PAUSE_S = 10
      PAUSE_MAX_S = 600
      FAILURES_MAX = 1_000

      # How often in a row a batch could not be advanced, and until when it is left alone.
      Failure = Struct.new(:times, :until)

      def initialize
        @mutex = Mutex.new
        @waiting = {}
        @failures = {}
      end

      # @param batch_ids [Array<String>] batches to be advanced
      def advance(batch_ids)
        @mutex.synchronize do
          batch_ids.each { |id| @waiting[id] = true if @waiting.size < BATCHES_MAX && !paused?(id) }
          start if @waiting.any? && !@thread&.alive?
        end
      end

      # Waits until nothing is left to do.
      # @param limit [Numeric] seconds
      def finish(limit)
        @mutex.synchronize { @thread }&.join(limit)
      end

      private

      # The thread ends when there is nothing to do: batches are rare, and a process without any has no thread for them.
      def start
        @thread = Thread.new do
          while (batch_id = next_batch)
            try_to_advance(batch_id)
          end
        end
        @thread.name = "good_job chores"
      end

      def next_batch
        @mutex.synchronize do
          batch_id, = @waiting.shift
          @thread = nil unless batch_id
          batch_id
        end
      end

      def try_to_advance(batch_id)
        GoodJob.within_executor { Batch::Progress.advance(batch_id) }
        @failures.delete(batch_id)
      rescue StandardError, ScriptError => e
        remember_failure(batch_id)
        GoodJob.report_error(e)
      end

      def remember_failure(batch_id)
        @failures.shift if @failures.size >= FAILURES_MAX
        count = (@failures[batch_id]&.times || 0) + 1
        pause = [PAUSE_S * (2**[count - 1, 10].min), PAUSE_MAX_S].min
        @failures[batch_id] = Failure.new(count, now + pause)
      end

      def paused?(batch_id)
        failure = @failures[batch_id]
        failure && failure.until > now
      end

      def now
        ::Process.clock_gettime(::Process::CLOCK_MONOTONIC)
      end
    end
  end
end
