//! Keeps the jobs' advisory locks as the leases are: gives up those of leases that were given up, and takes those again that went with a
//! session. Claims take theirs themselves, but for those that the caller makes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::ledger::Ledger;
use crate::postgres::link::{Link, Live, QueryError};
use crate::postgres::store::Store;

/// How often to see whether the session is still the same.
const INTERVAL: Duration = Duration::from_secs(1);

/// See the module's documentation.
pub(crate) struct Locker {
    pub(crate) store: Arc<Store>,
    /// On which the claims are made: the locks are its session's.
    pub(crate) link: Arc<Link>,
    pub(crate) ledger: Arc<Ledger>,
}

impl Locker {
    /// Works until it is aborted, which is when the last outcome has been stored; the locks go with the session.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut session = Weak::new();
        loop {
            tokio::select! {
                () = self.ledger.struck() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
            // The next look comes soon.
            let _ = self.run_once(&mut session).await;
        }
    }

    async fn run_once(&self, session: &mut Weak<Live>) -> Result<(), QueryError> {
        let live = self.link.live().await;
        let is_new = session.upgrade().is_none_or(|known| !Arc::ptr_eq(&known, &live));
        *session = Arc::downgrade(&live);
        drop(live);
        // First those that were given up: one of them may have been claimed again.
        let struck = self.ledger.take_struck();
        if !struck.is_empty() {
            if let Err(error) = self.store.unlock(&self.link, &struck).await {
                // A lost session has lost its locks.
                if !error.is_connection_lost() {
                    self.ledger.strike_again(struck);
                }
                return Err(error);
            }
        }
        if self.ledger.take_unlocked() || is_new {
            let held: Vec<_> = self.ledger.leases().iter().map(|lease| lease.job_id).collect();
            let locked = self.store.relock(&self.link, &held).await;
            // Until the next look, and without being woken: somebody else may have a lock for a while.
            if !matches!(locked, Ok(true)) {
                self.ledger.leave_unlocked();
            }
            locked?;
        }
        Ok(())
    }
}
