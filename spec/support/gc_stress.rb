# frozen_string_literal: true

# Loaded where GC_STRESS is set (rake spec:gc_stress), by the specs and by the processes that they start: makes the garbage collector as
# unkind to the boundary as it can be. In each native call that does not wait it runs at every allocation; and several times a second it
# moves whatever can be moved. At every allocation of the whole process nothing would ever end: Active Record makes thousands for a query.
module GcStress
  PAUSE_S = 0.3
  # At every allocation, of young objects: all objects of an application would take a tenth of a second each time.
  YOUNG = 1
  CALLS = %i[process_id pools describe finish drain snapshot].freeze
  FUNCTIONS = %i[statement parse_queues transition].freeze

  module_function

  def begin
    GoodJob::Native::Runtime.prepend(around(CALLS))
    GoodJob::Native.singleton_class.prepend(around(FUNCTIONS))
    return unless GC.respond_to?(:compact)

    GC.auto_compact = true
    move_all_the_time
  end

  def around(names)
    Module.new do
      names.each { |name| define_method(name) { |*arguments| GcStress.during { super(*arguments) } } }
    end
  end

  # Of all threads, as the collector's settings are; so never while one waits.
  def during
    GC.stress = YOUNG
    yield
  ensure
    GC.stress = false
  end

  def move_all_the_time
    mutex = Mutex.new
    never = ConditionVariable.new
    mover = Thread.new do
      loop do
        GC.compact
        mutex.synchronize { never.wait(mutex, PAUSE_S) }
      end
    end
    mover.name = "gc_stress"
  end
end

GcStress.begin
