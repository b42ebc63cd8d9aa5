# frozen_string_literal: true

require "good_job/active_job_extensions/concurrency"

module GoodJob
  # Keeps the limits of jobs that include {ActiveJobExtensions::Concurrency}: counts before a job is enqueued, and says which slots a job
  # needs to run.
  module Limits
    Concurrency = ActiveJobExtensions::Concurrency

    # A limit of one job, worked out: jobs of this name share so many slots, and may start so often in a time.
    #
    # @!attribute [r] name
    #   @return [String] what the limit is called everywhere
    # @!attribute [r] slots
    #   @return [Integer, nil] nil: any number at once
    # @!attribute [r] throttle
    #   @return [Array(Integer, Numeric), nil] so many starts in so many seconds
    # @!attribute [r] key
    #   @return [String, nil] by which the jobs that wait for it are found; nil: by the label
    # @!attribute [r] label
    #   @return [String, nil] with neither, all jobs are counted
    Gate = Struct.new(:name, :slots, :throttle, :key, :label)

    NO_GATES = [].freeze
    INLINE_SLOTS = :good_job_inline_slots
    private_constant :INLINE_SLOTS

    class << self
      # @return [Boolean] whether a job's enqueueing may be refused
      def at_enqueue?(job)
        job.is_a?(Concurrency) && job.class.good_job_limits.any?(&:at_enqueue?)
      end

      # @yield enqueues the job
      def around_enqueue(job, &block)
        return yield if !at_enqueue?(job) || exempt_from_enqueue_limits?(job)

        enqueue(job, &block)
      end

      # Enqueues the job unless that is too much, and lets nobody enqueue of the same key meanwhile.
      # @yield enqueues it
      # @return what the block returns; false: it was too much, and has been told
      def enqueue(job)
        rules = job.class.good_job_limits.select { |rule| rule.at_enqueue? && rule.applies_to?(job) }
        return yield if rules.empty?

        # Locked until the commit: only then do others see this job. But not while it runs.
        return BaseRecord.transaction { allowed?(rules, job) && yield } unless job.class.queue_adapter.execute_inline?

        BaseRecord.transaction(requires_new: true) { allowed?(rules, job) } && yield
      end

      # @param run [Run]
      # @return [Array<Gate>] what a claimed job has to pass. Most jobs have neither key nor label, and are not looked at any further.
      def gates_of(run)
        return NO_GATES unless run.claim[:concurrency_key] || run.claim[:labels]

        job_class = run.job_class
        return NO_GATES unless job_class && job_class < Concurrency && job_class.good_job_limits.any?(&:at_perform?)

        GoodJob.within_executor { gates(deserialized(run)) }
      rescue StandardError
        # The job cannot be made, or its limits cannot: the run will say so.
        NO_GATES
      end

      # @param job [ActiveJob::Base]
      # @return [Array<Gate>]
      def gates(job)
        rules = job.class.good_job_limits.select { |rule| rule.at_perform? && rule.applies_to?(job) }
        rules.filter_map do |rule|
          slots = rule.limit(job, :perform_limit, :total_limit)
          throttle = rule.throttle(job, :perform_throttle)
          Gate.new(rule.name_for(job), slots&.to_i, throttle, rule.label_of(job) ? nil : rule.key_of(job), rule.label_of(job)) if slots || throttle
        end
      end

      # Counts, and notes the start, under one lock: of two that ask at once, the second sees the first.
      # @return [Time, nil] when the next job may start; nil: this one may, and is counted from now on
      def start(gate, job_id)
        BaseRecord.transaction do
          Job.advisory_lock_key(gate.name, function: "pg_advisory_xact_lock")
          time = next_start(gate, job_id)
          Statements.run("grant_start", [job_id, Database.time_zone]) unless time
          time
        end
      end

      # Of a run that no worker has let in: in the inline mode, and where the limits only show in the job itself.
      # @yield runs the job
      # @raise [Concurrency::ConcurrencyExceededError]
      def around_perform(job)
        run = Run.of(job)
        raise run.excess if run&.excess

        return yield if run.nil? || run.admitted? || job.class.good_job_limits.none?(&:at_perform?)

        holding(gates(job), job) { yield } # rubocop:disable Style/ExplicitBlockArgument
      end

      # @return [Concurrency::ConcurrencyExceededError]
      def excess_error(gate, throttled)
        return Concurrency::ConcurrencyExceededError.new("#{gate.name} may run #{gate.slots} jobs at once") unless throttled

        Concurrency::ThrottleExceededError.new("#{gate.name} may start #{gate.throttle.first} jobs in #{gate.throttle.last.to_i} s")
      end

      private

      # Other queues have limits of their own; a job that enqueues itself again is counted already; a buffer is looked at when it ends.
      def exempt_from_enqueue_limits?(job)
        !job.class.queue_adapter.is_a?(Adapter) || Run.of(job) || Bulk.current_buffer
      end

      # In one order, so that two enqueues never wait for one another.
      def allowed?(rules, job)
        rules.map { |rule| rule.name_for(job) }.uniq.sort.each { |name| Job.advisory_lock_key(name, function: "pg_advisory_xact_lock") }
        excess = first_excess(rules, job) or return true
        refuse_enqueue(job, *excess)
        false
      end

      # @return [Array, nil] kind, name and limit
      def first_excess(rules, job)
        rules.each do |rule|
          limit = rule.limit(job, :enqueue_limit, :total_limit)
          return [:limit, rule.name_for(job), limit] if limit && over?(limit, counted(rule, job))

          count, period = rule.throttle(job, :enqueue_throttle)
          return [:throttle, rule.name_for(job), count] if count && over?(count, rule.jobs(job).where(created_at: (Time.current - period)..))
        end
        nil
      end

      # A limit for enqueueing is one of jobs that wait; the one in total is of those that run as well.
      def counted(rule, job)
        unfinished = rule.jobs(job).unfinished
        rule.limit(job, :enqueue_limit) ? unfinished.where(locked_by_id: nil).advisory_unlocked : unfinished
      end

      def over?(limit, jobs)
        whole = limit.floor
        whole < 1 || jobs.limit(whole).pluck(:id).size >= whole
      end

      # As Active Job does when a callback stops an enqueue.
      def refuse_enqueue(job, kind, name, limit)
        Events.tell("enqueue_concurrency_#{kind}_exceeded.good_job", { job: job, key: name, limit: limit })
        job.send(:halted_callback_hook, :good_job_concurrency, :enqueue)
      end

      def deserialized(run)
        job = ActiveJob::Base.deserialize(run.params)
        job.send(:deserialize_arguments_if_needed)
        job
      end

      # @return [Time, nil] nil: now
      def next_start(gate, job_id)
        count, period = gate.throttle
        now = Time.current
        return now + period if count < 1

        starts = starts_since(now - period, gate, job_id, count.floor).sort.reverse
        starts[count.floor - 1] + period if starts.size >= count.floor
      end

      def starts_since(time, gate, job_id, count)
        jobs = Concurrency::Rule.jobs(key: gate.key, label: gate.label)
        under_way = jobs.unfinished.where.not(locked_by_id: nil).where.not(id: job_id).where(performed_at: time..).where("performed_at > locked_at")
        # Before those that have ended: one that ends in between is counted twice, and not missed.
        running = under_way.order(performed_at: :desc).limit(count).pluck(:performed_at)
        throttled = "#{Concurrency::ThrottleExceededError.name}%"
        ended = Execution.where(active_job_id: jobs.select(:id), created_at: time..).where("error IS NULL OR error NOT LIKE ?", throttled)
        running + ended.order(created_at: :desc).limit(count).pluck(:created_at)
      end

      def holding(gates, job)
        taken = []
        gates.each do |gate|
          raise excess_error(gate, true) if gate.throttle && start(gate, job.job_id)

          taken << [gate, take_inline(gate)] if gate.slots
        end
        yield
      ensure
        taken.each { |gate, slot| give_back_inline(gate, slot) }
      end

      # On the thread's own session, which would get a slot that it has a second time.
      def take_inline(gate)
        own = inline_slots[gate.name]
        row = Statements.run("take_slot", [gate.name, gate.slots, Statements.array(own.map(&:to_s)), nil], Statements.connection).first
        raise excess_error(gate, false) unless row

        own << row["slot"]
        row["slot"]
      end

      def give_back_inline(gate, slot)
        inline_slots[gate.name].delete(slot)
        Statements.run("give_slot_back", [gate.name, slot], Statements.connection)
      end

      def inline_slots
        Thread.current.thread_variable_get(INLINE_SLOTS) ||
          Hash.new { |slots, name| slots[name] = [] }.tap { |slots| Thread.current.thread_variable_set(INLINE_SLOTS, slots) }
      end
    end
  end
end
