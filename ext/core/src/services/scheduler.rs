//! Wakes the pools when the next future job is due: one indexed query, one timer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::due::Sooner;
use crate::job::Moment;
use crate::phase::{reached, Phase, PhaseWatch};
use crate::pool::Pool;
use crate::postgres::backoff::Backoff;
use crate::postgres::link::{Link, QueryError};
use crate::postgres::store::{Store, Upcoming};

/// Longest time for which the answer "nothing is due before" is believed: jobs may be enqueued without a notification.
const REFRESH_MAX: Duration = Duration::from_secs(60);

/// How far each question goes back behind the last answer: a job that was announced may have been committed since, for an earlier time.
const OVERLAP_US: i64 = 1_000_000;

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
        let mut asked_at = None;
        loop {
            match self.run_once(asked_at).await {
                Ok(clock) => (backoff, asked_at) = (Backoff::default(), Some(clock)),
                Err(_) => tokio::time::sleep(backoff.next_delay()).await,
            }
        }
    }

    /// Tells the pools which jobs have become due since the last answer, and waits until the next one is, or until it is time to ask
    /// again. Gives the database's clock of the answer.
    pub(crate) async fn run_once(&self, asked_at: Option<Moment>) -> Result<Moment, QueryError> {
        self.sooner.take();
        let begun = Instant::now();
        let since = asked_at.map(|clock| Moment(clock.0.saturating_sub(OVERLAP_US)));
        let Upcoming { clock, jobs } = self.store.next_due(&self.link, since).await?;
        let (due, future): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.delay.is_zero());
        for job in due {
            self.pools.iter().for_each(|pool| match job.priority {
                Some(priority) => pool.tell(None, priority, job.at),
                None => pool.wake(),
            });
        }
        // By the time of the question: the answer may have been long on its way.
        self.wait(future.iter().map(|job| job.delay.saturating_sub(begun.elapsed())).min()).await;
        Ok(clock)
    }

    async fn wait(&self, delay: Option<Duration>) {
        let refresh = self.refresh.unwrap_or(REFRESH_MAX).min(REFRESH_MAX);
        let mut until = Instant::now() + delay.unwrap_or(refresh).min(refresh);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => return,
                () = self.sooner.told() => until = self.sooner.take().map_or(until, |told| told.min(until)),
            }
        }
    }
}
