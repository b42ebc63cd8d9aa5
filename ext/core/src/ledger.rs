//! The leases that this process knows it holds: from the moment a claim arrives until its end is stored.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::job::{Lease, Ticket};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    held: Mutex<HashSet<Lease>>,
    doubted_at: Mutex<Option<Instant>>,
    adopted_at: Mutex<Option<Instant>>,
    /// Whether there are leases without the advisory lock that goes with them.
    unlocked: AtomicBool,
    /// Whether somebody asks for what is struck.
    remembers: AtomicBool,
    /// Jobs whose leases were given up since somebody asked.
    struck: Mutex<Vec<Uuid>>,
    was_struck: Notify,
}

impl Ledger {
    /// Somebody will ask for what is struck from now on.
    pub(crate) fn remember(&self) {
        self.remembers.store(true, Ordering::Relaxed);
    }

    /// A claim has arrived.
    pub(crate) fn enter(&self, ticket: &Ticket) {
        self.lock().insert(ticket.lease);
    }

    /// A claim that the caller has made has arrived. The session that claims has not locked it, and the caller may have made more.
    pub(crate) fn adopt(&self, ticket: &Ticket) {
        self.enter(ticket);
        *self.adopted_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if self.remembers.load(Ordering::Relaxed) {
            self.unlocked.store(true, Ordering::Release);
            self.was_struck.notify_one();
        }
    }

    /// There are leases without their locks still.
    pub(crate) fn leave_unlocked(&self) {
        self.unlocked.store(true, Ordering::Release);
    }

    /// Whether there have been leases without their locks since the last call.
    pub(crate) fn take_unlocked(&self) -> bool {
        self.unlocked.swap(false, Ordering::Acquire)
    }

    /// Whether a claim of the caller's own arrived less than `age` ago.
    pub(crate) fn has_adopted_since_less_than(&self, age: Duration) -> bool {
        self.adopted_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < age)
    }

    /// The lease has been given up, or is lost.
    pub(crate) fn strike(&self, lease: Lease) {
        self.lock().remove(&lease);
        if self.remembers.load(Ordering::Relaxed) {
            self.struck_jobs().push(lease.job_id);
            self.was_struck.notify_one();
        }
    }

    /// Gives back what was taken by [`Self::take_struck`].
    pub(crate) fn strike_again(&self, jobs: Vec<Uuid>) {
        self.struck_jobs().extend(jobs);
    }

    /// Waits until a lease is struck, or arrives without its lock.
    pub(crate) async fn struck(&self) {
        self.was_struck.notified().await;
    }

    /// The jobs of the leases that were struck since the last call.
    pub(crate) fn take_struck(&self) -> Vec<Uuid> {
        std::mem::take(&mut self.struck_jobs())
    }

    /// All of them.
    pub(crate) fn leases(&self) -> Vec<Lease> {
        self.lock().iter().copied().collect()
    }

    /// A claim may have been made of which nothing was heard.
    pub(crate) fn doubt(&self) {
        *self.doubted_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether that was less than `age` ago.
    pub(crate) fn is_in_doubt_since_less_than(&self, age: Duration) -> bool {
        self.doubted_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < age)
    }

    fn struck_jobs(&self) -> MutexGuard<'_, Vec<Uuid>> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
