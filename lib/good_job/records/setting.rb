# frozen_string_literal: true

module GoodJob
  # What operators change at run time, by key: which cron entries are switched off (or on, where they are off by default), and what is
  # paused.
  class Setting < BaseRecord
    good_job_table "good_job_settings"

    CRON_KEYS_ENABLED = "cron_keys_enabled"
    CRON_KEYS_DISABLED = "cron_keys_disabled"
    PAUSES = "pauses"
    # By what a job may be paused, and under which name that is kept.
    PAUSE_KINDS = { queue: "queues", job_class: "job_classes", label: "labels" }.freeze

    class << self
      # @param default [Boolean] whether the entry is on as long as nobody has said anything
      def cron_key_enabled?(key, default: true)
        cron_keys_enabled({ key => default }).fetch(key)
      end

      # @param defaults [Hash{Symbol, String => Boolean}] by key
      # @return [Hash{Symbol, String => Boolean}] by key
      def cron_keys_enabled(defaults)
        lists = where(key: [CRON_KEYS_ENABLED, CRON_KEYS_DISABLED]).pluck(:key, :value).to_h
        enabled, disabled = lists.values_at(CRON_KEYS_ENABLED, CRON_KEYS_DISABLED).map { |keys| Array(keys) }
        defaults.to_h { |key, default| [key, default ? disabled.exclude?(key.to_s) : enabled.include?(key.to_s)] }
      end

      def cron_key_enable(key)
        change(CRON_KEYS_ENABLED, []) { |keys| keys | [key.to_s] }
        change(CRON_KEYS_DISABLED, []) { |keys| keys - [key.to_s] }
      end

      def cron_key_disable(key)
        change(CRON_KEYS_DISABLED, []) { |keys| keys | [key.to_s] }
        change(CRON_KEYS_ENABLED, []) { |keys| keys - [key.to_s] }
      end

      # @raise [ArgumentError] not exactly one of them
      def pause(queue: nil, job_class: nil, label: nil)
        change_pauses(queue: queue, job_class: job_class, label: label) { |values, value| values | [value] }
      end

      # @raise [ArgumentError] not exactly one of them
      def unpause(queue: nil, job_class: nil, label: nil)
        change_pauses(queue: queue, job_class: job_class, label: label) { |values, value| values - [value] }
      end

      # @return [Boolean] whether this is paused; without arguments, whether anything is
      # @raise [ArgumentError] more than one of them
      def paused?(queue: nil, job_class: nil, label: nil)
        given = { queue: queue, job_class: job_class, label: label }.compact
        raise ArgumentError, "Must provide at most one of queue, job_class, or label" if given.size > 1

        kind, value = given.first
        kind ? paused(PAUSE_KINDS.fetch(kind)).include?(value.to_s) : paused.values.any?(&:any?)
      end

      # @param type [String, Symbol, nil] "queues", "job_classes" or "labels"
      # @return [Hash{Symbol => Array<String>}, Array<String>] what is paused, of all types or of one
      def paused(type = nil)
        stored = find_by(key: PAUSES)&.value
        pauses = PAUSE_KINDS.values.to_h { |name| [name.to_sym, Array(stored.is_a?(Hash) ? stored[name] : nil)] }
        type ? pauses.fetch(type.to_sym) : pauses
      end

      private

      def change_pauses(**given, &block)
        given.compact!
        raise ArgumentError, "Must provide exactly one of queue, job_class, or label" unless given.size == 1

        kind, value = given.first
        change(PAUSES, {}) do |pauses|
          name = PAUSE_KINDS.fetch(kind)
          pauses.merge(name => block.call(Array(pauses[name]), value.to_s))
        end
        Statements.run("announce_pauses", []) if GoodJob.configuration.enable_listen_notify
      end

      # Whoever changes the same setting waits for the end of the transaction.
      def change(key, initial)
        transaction do
          now = Time.current
          insert_all([{ key: key, value: initial, created_at: now, updated_at: now }])
          setting = lock.find_by!(key: key)
          setting.update!(value: yield(setting.value.is_a?(initial.class) ? setting.value : initial))
        end
      end
    end

    ActiveSupport.run_load_hooks(:good_job_setting, self)
  end
end
