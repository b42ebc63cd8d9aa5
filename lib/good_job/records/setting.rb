# frozen_string_literal: true

module GoodJob
  # What operators change at run time, by key.
  class Setting < BaseRecord
    good_job_table "good_job_settings"

    ActiveSupport.run_load_hooks(:good_job_setting, self)
  end
end
