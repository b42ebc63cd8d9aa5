//! What the listener tells the scheduler: that a job will be due sooner than it knows.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::job::Moment;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Sooner {
    earliest: Mutex<Option<Instant>>,
    told: Notify,
}

impl Sooner {
    /// A job will be due in `delay`.
    pub fn tell(&self, delay: Duration) {
        let at = Instant::now() + delay;
        let mut earliest = self.earliest.lock().unwrap_or_else(PoisonError::into_inner);
        if earliest.is_none_or(|known| at < known) {
            *earliest = Some(at);
            self.told.notify_one();
        }
    }

    /// The earliest time told since the last call.
    pub fn take(&self) -> Option<Instant> {
        self.earliest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits until something earlier is told.
    pub async fn told(&self) {
        self.told.notified().await;
    }
}

/// How late the answer to the question for the time may come.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// The database's clock, as of the last heartbeat; this host's own until then.
#[derive(Debug, Default)]
pub struct DatabaseClock {
    reading: Mutex<Option<(Moment, Instant)>>,
}

impl DatabaseClock {
    /// Takes note of what the database's clock said, asked at `asked_at` and answered now. Gives how much further it has gone since the
    /// last note than this host's own, which stands still while the host sleeps.
    pub fn set(&self, said: Moment, asked_at: Instant) -> Duration {
        let took = asked_at.elapsed();
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead_us = reading.map_or(0, |(moment, read_at)| said.0.saturating_sub(moment.0).saturating_sub(micros(read_at.elapsed())));
        // An answer that was long on its way says nothing of now.
        if took <= ANSWER_MAX || reading.is_none() {
            *reading = Some((said, asked_at + took / 2));
        }
        Duration::from_micros(u64::try_from(ahead_us).unwrap_or(0))
    }

    /// What the database's clock says now.
    pub fn now(&self) -> Moment {
        match *self.reading.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((moment, read_at)) => Moment(moment.0 + micros(read_at.elapsed())),
            None => Moment::here(),
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_clock_runs_ahead_of_a_host_that_slept() {
        let clock = DatabaseClock::default();
        assert_eq!(clock.set(Moment(1_000_000_000), Instant::now()), Duration::ZERO);
        assert!(clock.set(Moment(1_000_000_000 + 60_000_000), Instant::now()) > Duration::from_secs(50));
        assert_eq!(clock.set(Moment(1_000_000_000), Instant::now()), Duration::ZERO);
    }

    #[test]
    fn an_answer_that_was_long_on_its_way_does_not_put_the_clock_back() {
        let clock = DatabaseClock::default();
        clock.set(Moment(60_000_000), Instant::now());
        let asked_at = Instant::now().checked_sub(Duration::from_secs(15)).unwrap();
        clock.set(Moment(45_000_000), asked_at);
        assert!(clock.now() >= Moment(60_000_000));
    }
}
