//! Fills one pool: claims jobs as its threads want them, and gives back what they do not get to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::completion::{Completion, Unsaved};
use crate::event::{Event, Events};
use crate::fleet::Fleet;
use crate::frontier::Walk;
use crate::job::Claim;
use crate::ledger::Ledger;
use crate::phase::{reached, Phase, PhaseWatch};
use crate::pool::{Demand, Pool};
use crate::postgres::backoff::Backoff;
use crate::postgres::link::{Link, QueryError};
use crate::postgres::store::Store;

/// See the module's documentation.
pub(crate) struct Claimer {
    pub(crate) index: usize,
    pub(crate) pool: Arc<Pool>,
    pub(crate) store: Arc<Store>,
    pub(crate) link: Arc<Link>,
    pub(crate) unsaved: Arc<Unsaved>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) events: Arc<Events>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) poll_interval: Option<Duration>,
}

impl Claimer {
    /// Claims until the runtime drains. A claim under way is never abandoned: its jobs would be held by nobody.
    pub(crate) async fn run(self: Arc<Self>, mut phase: PhaseWatch) {
        let mut backoff = Backoff::default();
        let mut told = false;
        while *phase.borrow() < Phase::Draining {
            let connected = tokio::select! {
                _ = self.link.live() => true,
                () = reached(&mut phase, Phase::Draining) => false,
            };
            if self.pool.take_announcement() {
                if let Some(delay) = self.fleet.stagger() {
                    tokio::time::sleep(delay).await;
                }
            }
            let Some((demand, walk)) = connected.then(|| self.pool.next_claim()).flatten() else {
                tokio::select! {
                    () = self.wait() => {}
                    () = reached(&mut phase, Phase::Draining) => {}
                }
                continue;
            };
            match self.run_once(demand, &walk).await {
                Ok(()) => (backoff, told) = (Backoff::default(), false),
                Err(error) => {
                    if !std::mem::replace(&mut told, true) && !error.is_connection_lost() {
                        self.events
                            .tell(Event::Error { message: format!("claiming jobs for {}: {error}; trying again", self.pool.config.name) });
                    }
                    tokio::select! {
                        () = tokio::time::sleep(backoff.next_delay()) => {}
                        () = reached(&mut phase, Phase::Draining) => {}
                    }
                }
            }
        }
    }

    /// One claim statement, and its jobs handed to the threads.
    pub(crate) async fn run_once(&self, demand: Demand, walk: &Walk) -> Result<(), QueryError> {
        let begun = Instant::now();
        let claims = match self.store.claim(&self.link, self.index, demand, walk).await {
            Ok(claims) => claims,
            Err(error) => {
                if error.is_connection_lost() {
                    // How long that took says nothing of how long it takes to look.
                    self.pool.claim_failed(walk, Duration::ZERO);
                    self.ledger.doubt();
                } else {
                    self.pool.claim_failed(walk, begun.elapsed());
                }
                return Err(error);
            }
        };
        self.pool.claimed(walk, &claims, demand, begun.elapsed());
        for claim in claims {
            self.ledger.enter(&claim.ticket);
            if let Err(claim) = self.pool.push(claim) {
                self.give_back(*claim);
            }
        }
        Ok(())
    }

    /// Waits for a reason to look: demand, a wake-up, the poll interval, or a claim that has waited too long for a thread.
    async fn wait(&self) {
        let expiry = self.pool.next_expiry();
        tokio::select! {
            () = self.pool.changed() => {}
            () = sleep_or_never(self.poll_interval) => self.pool.poll(),
            () = sleep_or_never(expiry.map(|at| at.saturating_duration_since(Instant::now()))) => self.give_back_expired(),
        }
    }

    fn give_back_expired(&self) {
        let expired = self.pool.take_expired(Instant::now());
        if expired.is_empty() {
            return;
        }
        expired.into_iter().for_each(|claim| self.give_back(claim));
        // They are in the queue again, for whoever is free first; this pool included.
        self.pool.wake();
    }

    fn give_back(&self, claim: Claim) {
        self.unsaved.push_regardless(Completion::unstarted(claim.ticket));
    }
}

async fn sleep_or_never(delay: Option<Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => std::future::pending().await,
    }
}
