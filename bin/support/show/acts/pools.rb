# frozen_string_literal: true

module Show
  module Acts
    # Puma runs jobs too (async), and the worker has pools that Puma has not.
    class Pools < Act
      def checks
        runs = DemoRun.by_process_and_queue.keys.map { |process, queue| [process[/\w+/], queue] }.uniq
        {
          "the web server and the worker both ran mice" => (%w[web worker].product(["mice"]) - runs).empty?,
          "elephants ran in the worker only" => runs.select { |_process, queue| queue == "elephants" } == [%w[worker elephants]]
        }
      end
    end
  end
end
