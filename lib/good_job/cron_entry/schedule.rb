# frozen_string_literal: true

module GoodJob
  class CronEntry
    # When a cron line is due. fugit reads it; what it leaves to whoever asks are the two days a year on which clocks are changed: an entry
    # for a certain hour runs once on those days too. Where its time does not exist, it runs when the missing hour is over; where its time
    # comes twice, at the first. An entry for every hour, or every few ("*", "*/2"), goes by the hours that pass.
    class Schedule
      # Longest overlap of local times that is looked for.
      OVERLAP_MAX_S = 4 * 3600
      # Most times that {#within} gives.
      TIMES_MAX = 1_000
      UTC = "Etc/UTC"
      private_constant :UTC

      # fugit is loaded here: most processes have no cron entries.
      # @return [Schedule, nil] nil: the line is none
      def self.parse(line)
        require "fugit"
        cron = Fugit.parse(line.to_s)
        new(cron) if cron.is_a?(Fugit::Cron)
      rescue ArgumentError
        nil
      end

      # @param cron [Fugit::Cron]
      def initialize(cron)
        @line = cron.original
        fields = cron.original.split
        zone = fields.pop if cron.zone
        zone ||= EtOrbi.determine_local_tzone.name
        @certain_hours = !fields[-4].start_with?("*")
        @cron = Fugit::Cron.parse([*fields, zone].join(" "))
        @wall = Fugit::Cron.parse([*fields, UTC].join(" "))
      end

      # @return [Time] in UTC, later than the one given
      def next_time(from)
        following = following(@cron, from)
        return following unless @certain_hours

        following = following(@cron, following) while repeated?(following)
        missed_before(following, from) || following
      end

      # @return [Array<Time>] all between the two, the latest of them if there are very many
      def within(from, to)
        times = []
        time = from - 1
        while (time = next_time(time)) <= to
          times << time if time >= from
          times.shift if times.size > TIMES_MAX
        end
        times
      end

      def to_s
        @line
      end

      private

      # Asked in UTC: of two times that look the same in the zone of the question, fugit leaves out the second.
      def following(cron, time)
        cron.next_time(EtOrbi.make_time(time.getutc, UTC)).to_t.utc
      end

      def repeated?(time)
        changes(time - OVERLAP_MAX_S, time + 1).any? { |at, shift| shift.negative? && time >= at && time < at - shift }
      end

      # @return [Time, nil] the end of the missing hour, if the line names a time in it
      def missed_before(following, from)
        change = changes(from, following).find do |at, shift, offset|
          shift.positive? && at > from && named_between?(at + offset, at + offset + shift)
        end
        change&.first
      end

      # Times of the wall clock, which all exist in UTC.
      def named_between?(wall_from, wall_to)
        following(@wall, wall_from - 1) < wall_to
      end

      # @return [Array<(Time, Integer, Integer)>] when clocks are changed, by how many seconds, and their offset before
      def changes(from, to)
        @cron.timezone.transitions_up_to(to, from).map do |transition|
          before = transition.previous_offset.utc_total_offset
          [transition.at.to_time.utc, transition.offset.utc_total_offset - before, before]
        end
      end
    end
  end
end
