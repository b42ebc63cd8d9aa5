# frozen_string_literal: true

module Show
  module Acts
    # Two parades: one in which a job calls more jobs into the batch, one in which a job is discarded.
    class Batches < Act
      CALLBACKS = { on_success: "ParadeEndJob", on_discard: "ParadeEndJob", on_finish: "ParadeEndJob", callback_queue_name: "ring" }.freeze

      def start
        @good = GoodJob::Batch.enqueue(**CALLBACKS, name: "good") { %w[drummer flutist].each { |who| ParadeJob.perform_later(who) } }
        @bad = GoodJob::Batch.enqueue([ParadeJob.new("clown"), ParadeJob.new("flutist")], **CALLBACKS, name: "bad")
      end

      def finished?
        [@good, @bad].all? { |batch| batch.reload.finished? }
      end

      def checks
        {
          "each callback once" => notes(ParadeEndJob).sort == ["bad: discard", "bad: finish", "good: finish", "good: success"],
          "jobs join from inside" => @good.active_jobs.size == 4 && @good.reload.succeeded?,
          "one of two parades was spoilt" => @bad.reload.discarded?
        }
      end
    end
  end
end
