//! The processes that run jobs of this queue, this one included: how many there are, and what follows from it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much longer the processes of a fleet may take to answer an announcement, for each process more.
const STAGGER_PER_PROCESS: Duration = Duration::from_micros(300);
/// Of the runtime's timer.
const TIMER_RESOLUTION: Duration = Duration::from_millis(1);
/// Longest that an answer is put off.
const STAGGER_MAX: Duration = Duration::from_millis(10);

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Fleet {
    others: AtomicU32,
    silent_at: Mutex<Option<Instant>>,
}

impl Fleet {
    /// Takes note of how many processes there are.
    pub fn set_size(&self, processes: u32) {
        self.others.store(processes.saturating_sub(1), Ordering::Relaxed);
    }

    /// Takes note that this process could not say that it lives: whatever kept it may have kept the others too.
    pub fn note_silence(&self) {
        *self.silent_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether that was less than `age` ago.
    pub fn was_silent_since_less_than(&self, age: Duration) -> bool {
        self.silent_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < age)
    }

    /// How long to put off a claim for what has been announced. All processes hear it in the same moment, and one of them will get the
    /// job: were all to claim at once, the database would do the work of one many times over, and all at once. Whoever waits a little
    /// answers what is announced meanwhile with the same claim. `None`: at once. So a process that is alone always does, and of a few
    /// processes each: the timer cannot wait for less than a millisecond.
    pub fn stagger(&self) -> Option<Duration> {
        let span = (STAGGER_PER_PROCESS * self.others.load(Ordering::Relaxed)).min(STAGGER_MAX);
        let delay = span.mul_f64(rand::random_range(0.0..=1.0));
        (delay >= TIMER_RESOLUTION).then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_that_it_could_not_say_that_it_lives() {
        let fleet = Fleet::default();
        assert!(!fleet.was_silent_since_less_than(Duration::MAX));
        fleet.note_silence();
        assert!(fleet.was_silent_since_less_than(Duration::from_secs(10)));
        assert!(!fleet.was_silent_since_less_than(Duration::ZERO));
    }

    /// The longest of many delays.
    fn longest(processes: u32) -> Option<Duration> {
        let fleet = Fleet::default();
        fleet.set_size(processes);
        (0..1_000).filter_map(|_| fleet.stagger()).max()
    }

    #[test]
    fn a_few_processes_answer_at_once() {
        assert_eq!(Fleet::default().stagger(), None);
        assert_eq!(longest(1), None);
        assert_eq!(longest(4), None);
    }

    #[test]
    fn the_more_there_are_the_further_apart_they_answer_up_to_a_limit() {
        assert!(longest(11) > Some(STAGGER_PER_PROCESS * 5));
        assert!(longest(1_000) <= Some(STAGGER_MAX));
    }
}
