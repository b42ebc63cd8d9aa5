//! What the listener tells the scheduler: that a job will be due sooner than it knows.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// The database's clock, as of the last heartbeat; this host's own until then.
#[derive(Debug, Default)]
pub struct DatabaseClock {
    reading: Mutex<Option<(Moment, Instant)>>,
}

impl DatabaseClock {
    /// Takes note of what the database's clock says now. Gives how much further it has gone since the last note than this host's own,
    /// which stands still while the host sleeps.
    pub fn set(&self, now: Moment) -> Duration {
        let last = self.reading.lock().unwrap_or_else(PoisonError::into_inner).replace((now, Instant::now()));
        let ahead_us = last.map_or(0, |(moment, read_at)| now.0.saturating_sub(moment.0).saturating_sub(micros(read_at.elapsed())));
        Duration::from_micros(u64::try_from(ahead_us).unwrap_or(0))
    }

    /// What the database's clock says now.
    pub fn now(&self) -> Moment {
        match *self.reading.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((moment, read_at)) => Moment(moment.0 + micros(read_at.elapsed())),
            None => Moment(micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())),
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
