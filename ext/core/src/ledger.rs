//! The leases that this process knows it holds: from the moment a claim arrives until its end is stored.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::job::{Lease, Ticket};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    held: Mutex<HashMap<Lease, Instant>>,
}

impl Ledger {
    /// A claim has arrived.
    pub(crate) fn enter(&self, ticket: &Ticket) {
        self.lock().insert(ticket.lease, ticket.received);
    }

    /// The lease has been given up, or is lost.
    pub(crate) fn strike(&self, lease: Lease) {
        self.lock().remove(&lease);
    }

    /// Leases that arrived at least `age` ago.
    pub(crate) fn older_than(&self, age: Duration) -> Vec<Lease> {
        self.lock().iter().filter(|(_, received)| received.elapsed() >= age).map(|(lease, _)| *lease).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, Instant>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
