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
    /// Takes note of what the database's clock says now.
    pub fn set(&self, now: Moment) {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Instant::now()));
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
