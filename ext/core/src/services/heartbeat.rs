//! Says every few seconds that this process lives: its row and its advisory lock, whatever Ruby does meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::due::DatabaseClock;
use crate::fleet::Fleet;
use crate::postgres::backoff::Backoff;
use crate::postgres::link::{Link, QueryError};
use crate::postgres::store::{Beat, Store};

/// How often.
pub(crate) const INTERVAL: Duration = Duration::from_secs(3);

/// How much further the database's clock goes between two beats than the host's, for the host to have slept.
const SLEEP_MIN: Duration = Duration::from_secs(5);

/// See the module's documentation.
pub(crate) struct Heartbeat {
    pub(crate) store: Arc<Store>,
    pub(crate) link: Arc<Link>,
    pub(crate) clock: Arc<DatabaseClock>,
    pub(crate) fleet: Arc<Fleet>,
    /// The process row's state as JSON text, made anew for each beat.
    pub(crate) state: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether a beat was ever sent.
    pub(crate) begun: AtomicBool,
}

impl Heartbeat {
    /// Beats until it is aborted, which is when the last outcome has been stored: a process that is still storing is alive. A lost
    /// connection is replaced at once, as the advisory lock went with it.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        loop {
            match self.run_once().await {
                Ok(()) => {
                    backoff = Backoff::default();
                    tokio::time::sleep(INTERVAL).await;
                }
                Err(_) => {
                    self.fleet.note_silence();
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
    }

    /// Whether this process may have a row.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// One beat.
    pub(crate) async fn run_once(&self) -> Result<(), QueryError> {
        self.begun.store(true, Ordering::Relaxed);
        let asked_at = Instant::now();
        let Beat { clock, processes } = self.store.beat(&self.link, &(self.state)()).await?;
        if self.clock.set(clock, asked_at) > SLEEP_MIN {
            self.fleet.note_silence();
        }
        self.fleet.set_size(processes);
        Ok(())
    }
}
