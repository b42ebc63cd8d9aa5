//! How long a pool's runs take, and so how many claims are worth holding in advance.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Most claims that a pool holds beyond its free threads.
pub const PREFETCH_MAX: usize = 200;
/// How long a pool whose threads are all busy would take to start what lies in its buffer.
const BUFFERED_TIME: Duration = Duration::from_millis(10);
/// Runs that take longer are never prefetched: one claim per free thread is fast enough, and a hoarded job would wait for nothing.
const SHORT_RUN_MAX: Duration = Duration::from_millis(20);
/// A new duration counts for 1/8 of the average when it is shorter, for 1/2 when it is longer: a pool is slow to believe that its
/// jobs are short, and quick to believe that they are not.
const WEIGHT_SHORTER: u64 = 8;
const WEIGHT_LONGER: u64 = 2;
/// The first runs of a process load what Rails loads but once: they say little about those that follow, and are soon outweighed.
const FIRST_RUNS: u64 = 16;
const WEIGHT_AMONG_FIRST: u64 = 2;
/// "Nothing measured yet".
const UNKNOWN: u64 = u64::MAX;

/// A moving average of run times, shared between threads without a lock; a lost update is one sample less.
#[derive(Debug)]
pub struct Pace {
    average_ns: AtomicU64,
    runs: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { average_ns: AtomicU64::new(UNKNOWN), runs: AtomicU64::new(0) }
    }
}

impl Pace {
    /// Takes note of how long a run took.
    pub fn record(&self, run: Duration) {
        let sample = u64::try_from(run.as_nanos()).unwrap_or(UNKNOWN - 1);
        let average = self.average_ns.load(Ordering::Relaxed);
        let among_first = self.runs.fetch_add(1, Ordering::Relaxed) < FIRST_RUNS;
        let next = match average {
            UNKNOWN => sample,
            _ if sample > average => average + (sample - average) / WEIGHT_LONGER,
            _ => average - (average - sample) / if among_first { WEIGHT_AMONG_FIRST } else { WEIGHT_SHORTER },
        };
        self.average_ns.store(next, Ordering::Relaxed);
    }

    /// How many claims beyond the free threads `threads` threads will start within 10 ms.
    pub fn prefetch(&self, threads: usize) -> usize {
        let average_ns = self.average_ns.load(Ordering::Relaxed);
        if u128::from(average_ns) >= SHORT_RUN_MAX.as_nanos() {
            return 0;
        }
        // Rounded for the pool as a whole: jobs of 11 ms are worth some claims in advance where there are several threads.
        let started_meanwhile = BUFFERED_TIME.as_nanos() * threads as u128 / u128::from(average_ns.max(1));
        usize::try_from(started_meanwhile).map_or(PREFETCH_MAX, |claims| claims.min(PREFETCH_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(runs: &[Duration]) -> Pace {
        let pace = Pace::default();
        runs.iter().for_each(|run| pace.record(*run));
        pace
    }

    #[test]
    fn nothing_is_prefetched_before_a_run_was_measured() {
        assert_eq!(Pace::default().prefetch(5), 0);
    }

    #[test]
    fn short_runs_are_prefetched_up_to_the_limit() {
        assert_eq!(pace(&[Duration::from_micros(50); 4]).prefetch(5), PREFETCH_MAX);
        assert_eq!(pace(&[Duration::from_millis(1); 4]).prefetch(5), 50);
        assert_eq!(pace(&[Duration::ZERO]).prefetch(1), PREFETCH_MAX);
    }

    #[test]
    fn the_pool_as_a_whole_starts_within_10_ms_what_it_holds() {
        assert_eq!(pace(&[Duration::from_micros(10_400); 4]).prefetch(5), 4);
        assert_eq!(pace(&[Duration::from_micros(19_900); 4]).prefetch(5), 2);
        assert_eq!(pace(&[Duration::from_micros(10_400); 4]).prefetch(1), 0);
    }

    #[test]
    fn long_runs_are_never_hoarded() {
        assert_eq!(pace(&[Duration::from_millis(20); 4]).prefetch(5), 0);
        assert_eq!(pace(&[Duration::from_secs(3600)]).prefetch(25), 0);
    }

    #[test]
    fn the_slow_first_run_of_a_process_is_soon_forgotten() {
        let pace = pace(&[Duration::from_millis(15)]);
        assert!(pace.prefetch(5) < 5);
        for _ in 0..8 {
            pace.record(Duration::from_micros(50));
        }
        assert_eq!(pace.prefetch(5), PREFETCH_MAX);
    }

    #[test]
    fn one_long_run_ends_the_prefetching_and_it_takes_many_short_ones_to_begin_again() {
        let pace = pace(&[Duration::from_micros(50); 100]);
        pace.record(Duration::from_secs(1));
        assert_eq!(pace.prefetch(5), 0);
        for _ in 0..10 {
            pace.record(Duration::from_micros(50));
        }
        assert_eq!(pace.prefetch(5), 0);
        for _ in 0..100 {
            pace.record(Duration::from_micros(50));
        }
        assert_eq!(pace.prefetch(5), PREFETCH_MAX);
    }
}
