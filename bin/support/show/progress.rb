# frozen_string_literal: true

require "io/console"

module Show
  # How far the herd is: bars that are drawn anew in a terminal, a line now and then elsewhere.
  class Progress
    LINE_INTERVAL_S = 2
    RATE_WINDOW_S = 1
    BAR_WIDTH = 10..50
    # What a line has beside its bar.
    TEXT_WIDTH = 46

    Sample = Struct.new(:at, :finished)

    # @param herd [Herd]
    def initialize(herd, output: $stdout)
      @herd = herd
      @output = output
      @terminal = output.tty? && ENV["TERM"] != "dumb"
      @blocks = output.external_encoding.nil? && Encoding.default_external == Encoding::UTF_8 ? %w[█ ░] : %w[# -]
      @started_at = now
      @samples = []
      @height = 0
    end

    # Shows the herd as it was at the last look.
    def draw
      take_sample
      if @terminal
        draw_bars
      elsif @line_at.nil? || now - @line_at >= LINE_INTERVAL_S
        @output.puts line
        @line_at = now
      end
    end

    # What comes next is written below.
    def leave
      @terminal ? @output.print("\n" * @height) : @output.puts(line)
    end

    private

    def take_sample
      @samples << Sample.new(now, @herd.progress.transform_values(&:last))
      @samples.shift while @samples.size > 2 && now - @samples[1].at >= RATE_WINDOW_S
    end

    def rate(queue)
      first, last = @samples.values_at(0, -1)
      seconds = last.at - first.at
      seconds.zero? ? 0 : ((last.finished[queue] - first.finished.fetch(queue, 0)) / seconds).round
    end

    def draw_bars
      lines = @herd.progress.map { |queue, numbers| bar_line(queue, *numbers) } << process_line
      @output.print lines.map { |line| "\e[2K#{line}\n" }.join, "\e[#{lines.size}A"
      @height = lines.size
    end

    def bar_line(queue, enqueued, finished)
      filled = enqueued.zero? ? 0 : bar_width * finished / enqueued
      bar = (@blocks.first * filled) + (@blocks.last * (bar_width - filled))
      format(" %-10s %s %6d of %-6d %6d/s", queue, bar, finished, enqueued, rate(queue))
    end

    def process_line
      runs = DemoRun.group(:process).order(:process).count.map { |process, count| "#{process}: #{count}" }
      " runs       #{runs.join("   ")}"[0, columns - 1]
    end

    def line
      parts = @herd.progress.map { |queue, (enqueued, finished)| "#{queue} #{finished} of #{enqueued} (#{rate(queue)}/s)" }
      format("%5.1<seconds>f s  %<parts>s", seconds: now - @started_at, parts: parts.join("   "))
    end

    def bar_width
      (columns - TEXT_WIDTH).clamp(BAR_WIDTH)
    end

    def columns
      @output.winsize.last.nonzero? || 80
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
