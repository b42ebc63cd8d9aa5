//! The leases that this process knows it holds: from the moment a claim arrives until its end is stored.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::job::{Lease, Ticket};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    held: Mutex<HashSet<Lease>>,
    doubted_at: Mutex<Option<Instant>>,
}

impl Ledger {
    /// A claim has arrived.
    pub(crate) fn enter(&self, ticket: &Ticket) {
        self.lock().insert(ticket.lease);
    }

    /// The lease has been given up, or is lost.
    pub(crate) fn strike(&self, lease: Lease) {
        self.lock().remove(&lease);
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

    fn lock(&self) -> MutexGuard<'_, HashSet<Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
