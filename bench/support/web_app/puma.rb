# frozen_string_literal: true

# Puma's own defaults, one process.
threads 5, 5
workers 0
