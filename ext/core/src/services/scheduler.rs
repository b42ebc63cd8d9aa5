//! Wakes the pools when the next future job is due: one indexed query, one timer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::due::Sooner;
use crate::phase::{reached, Phase, PhaseWatch};
use crate::pool::Pool;
use crate::postgres::backoff::Backoff;
use crate::postgres::link::{Link, QueryError};
use crate::postgres::store::Store;

/// Longest time for which the answer "nothing is due before" is believed: jobs may be enqueued without a notification.
const REFRESH_MAX: Duration = Duration::from_secs(60);

/// See the module's documentation.
pub(crate) struct Scheduler {
    pub(crate) pools: Vec<Arc<Pool>>,
    pub(crate) store: Arc<Store>,
    pub(crate) link: Arc<Link>,
    pub(crate) sooner: Arc<Sooner>,
    /// How often to look without being told.
    pub(crate) refresh: Option<Duration>,
}

impl Scheduler {
    /// Wakes pools until the runtime drains.
    pub(crate) async fn run(self: Arc<Self>, mut phase: PhaseWatch) {
        tokio::select! {
            () = self.keep_waking() => {}
            () = reached(&mut phase, Phase::Draining) => {}
        }
    }

    async fn keep_waking(&self) {
        let mut backoff = Backoff::default();
        loop {
            match self.run_once().await {
                Ok(()) => backoff = Backoff::default(),
                Err(_) => {
                    tokio::time::sleep(backoff.next_delay()).await;
                    // What became due meanwhile is not future any more: no answer will name it.
                    self.pools.iter().for_each(|pool| pool.wake());
                }
            }
        }
    }

    /// One timer: asks when the next job is due, waits until then or until it is time to ask again, and wakes the pools if it was
    /// for a job.
    pub(crate) async fn run_once(&self) -> Result<(), QueryError> {
        self.sooner.take();
        let due = self.store.next_due(&self.link).await?.map(|delay| Instant::now() + delay);
        let ask_again = Instant::now() + self.refresh.unwrap_or(REFRESH_MAX).min(REFRESH_MAX);
        let mut next = due;
        loop {
            let wake_at = next.map_or(ask_again, |due| due.min(ask_again));
            tokio::select! {
                () = tokio::time::sleep_until(wake_at.into()) => break,
                () = self.sooner.told() => {
                    let told = self.sooner.take();
                    next = [next, told].into_iter().flatten().min();
                }
            }
        }
        if next.is_some_and(|due| due <= Instant::now()) {
            self.pools.iter().for_each(|pool| pool.wake());
        }
        Ok(())
    }
}
