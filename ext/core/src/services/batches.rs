//! Finds out which batches are to be advanced, and says so; what that means (callbacks) is the application's to do.
//!
//! A batch is looked at when something in it has ended, and all of them now and then: whoever ought to have looked may have died.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::batches::{Touch, Touched};
use crate::event::{Event, Events};
use crate::phase::{reached, Phase, PhaseWatch};
use crate::postgres::backoff::Backoff;
use crate::postgres::link::{Link, QueryError};
use crate::postgres::store::{Looked, Store};

/// Most batches in one look.
const LOOK_MAX: usize = 200;
/// Pause after a look, in times of what it took: looks get a tenth of a session, whatever they cost.
const LOOK_REST: u32 = 9;
/// And at most so long.
const LOOK_REST_MAX: Duration = Duration::from_secs(1);
/// How often to look at all batches.
const ROUND_INTERVAL: Duration = Duration::from_secs(10);
/// Shortest interval between two such looks, in times of what one took.
const ROUND_REST: u32 = 100;
/// Most batches for which an unfinished job is remembered.
const WITNESSES_MAX: usize = 1_000;

/// See the module's documentation.
pub(crate) struct BatchWatch {
    pub(crate) store: Arc<Store>,
    /// On which looks follow the flushes that make them necessary.
    pub(crate) link: Arc<Link>,
    /// On which the looks at all batches, which take longer, are in the way of no flush.
    pub(crate) round_link: Arc<Link>,
    pub(crate) touched: Arc<Touched>,
    pub(crate) events: Arc<Events>,
    /// By batch, a job that had not ended at the last look.
    pub(crate) witnesses: Mutex<HashMap<Uuid, Uuid>>,
}

impl BatchWatch {
    /// Looks until it is aborted, which is when the last outcome has been stored.
    pub(crate) async fn run(self: Arc<Self>, phase: PhaseWatch) {
        tokio::join!(self.keep_looking(), self.keep_going_round(phase));
    }

    async fn keep_looking(&self) {
        let mut backoff = Backoff::default();
        loop {
            self.touched.arrived().await;
            let begun = Instant::now();
            match self.run_once().await {
                Ok(()) => {
                    backoff = Backoff::default();
                    tokio::time::sleep((begun.elapsed() * LOOK_REST).min(LOOK_REST_MAX)).await;
                }
                Err(_) => tokio::time::sleep(backoff.next_delay()).await,
            }
        }
    }

    async fn keep_going_round(&self, mut phase: PhaseWatch) {
        let go_round = async {
            let mut after = None;
            loop {
                let begun = Instant::now();
                // A failure is told by whoever else uses the connection; the next round comes soon.
                after = self.go_round(after).await.unwrap_or(None);
                tokio::time::sleep(ROUND_INTERVAL.max(begun.elapsed() * ROUND_REST)).await;
            }
        };
        tokio::select! {
            () = go_round => {}
            () = reached(&mut phase, Phase::Draining) => {}
        }
    }

    /// Looks at what has been touched. What could not be looked at stays touched.
    pub(crate) async fn run_once(&self) -> Result<(), QueryError> {
        loop {
            let touched = self.touched.take(LOOK_MAX);
            if touched.is_empty() {
                return Ok(());
            }
            match self.look(&touched).await {
                Ok(looked) => self.learn(&touched, &looked),
                Err(error) => {
                    touched.into_iter().for_each(|(batch, touch)| self.touched.touch(batch, touch));
                    return Err(error);
                }
            }
        }
    }

    async fn look(&self, touched: &[(Uuid, Touch)]) -> Result<Vec<Looked>, QueryError> {
        let witnesses: Vec<Option<Uuid>> = {
            let known = self.witnesses.lock().unwrap_or_else(PoisonError::into_inner);
            touched.iter().map(|(batch, _)| known.get(batch).copied()).collect()
        };
        self.store.look_at_batches(&self.link, touched, &witnesses).await
    }

    fn learn(&self, touched: &[(Uuid, Touch)], looked: &[Looked]) {
        let mut witnesses = self.witnesses.lock().unwrap_or_else(PoisonError::into_inner);
        if witnesses.len() + touched.len() > WITNESSES_MAX {
            witnesses.clear();
        }
        for (batch, _) in touched {
            witnesses.remove(batch);
        }
        witnesses.extend(looked.iter().filter_map(|batch| Some((batch.id, batch.witness?))));
        drop(witnesses);
        self.tell(looked.iter().filter(|batch| batch.ripe).map(|batch| batch.id));
    }

    /// One look at the next of all batches; gives where the one after it begins.
    async fn go_round(&self, after: Option<Uuid>) -> Result<Option<Uuid>, QueryError> {
        let overdue = self.store.overdue_batches(&self.round_link, after, LOOK_MAX).await?;
        let last = overdue.last().copied().filter(|_| overdue.len() == LOOK_MAX);
        self.tell(overdue.into_iter());
        Ok(last)
    }

    fn tell(&self, batches: impl Iterator<Item = Uuid>) {
        let batch_ids: Vec<String> = batches.map(|batch| batch.to_string()).collect();
        if !batch_ids.is_empty() {
            self.events.tell(Event::RipeBatches { batch_ids });
        }
    }
}
