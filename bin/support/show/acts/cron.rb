# frozen_string_literal: true

module Show
  module Acts
    # Two processes enqueue the same entry's jobs. Its arguments are a lambda's, asked at each time.
    class Cron < Act
      CALLS = 3

      def finished?
        jobs.finished.count >= CALLS
      end

      def checks
        times = jobs.order(:cron_at).pluck(:cron_at)
        {
          "a job each time, by whoever was first" => times.size >= CALLS && times.each_cons(2).all? { |one, other| other - one == 2 },
          "with arguments of that time" => notes(CuckooJob).uniq.size == jobs.succeeded.count && notes(CuckooJob).all?(/\Acuckoo: cuckoo at \d\d:/),
          "none of an entry that is switched off" => GoodJob::CronEntry.find(:sloth).jobs.none?
        }
      end

      private

      def jobs
        GoodJob::CronEntry.find(:cuckoo).jobs
      end
    end
  end
end
