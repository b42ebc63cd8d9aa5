//! The batches in which something has ended and at which nobody has looked since.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

/// Most batches that wait for a look. More are found by the look at all batches that comes every few seconds anyway.
const TOUCHED_MAX: usize = 10_000;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Touched {
    waiting: Mutex<HashMap<Uuid, Touch>>,
    arrived: Notify,
}

/// What has happened in a batch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// Whether a job of it failed.
    pub failed: bool,
}

impl Touched {
    /// Something ended in this batch.
    pub fn touch(&self, batch: Uuid, touch: Touch) {
        let mut waiting = self.waiting();
        if waiting.len() < TOUCHED_MAX || waiting.contains_key(&batch) {
            waiting.entry(batch).or_default().failed |= touch.failed;
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Waits for a touch.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Up to `limit` of them.
    pub fn take(&self, limit: usize) -> Vec<(Uuid, Touch)> {
        let mut waiting = self.waiting();
        let batches: Vec<Uuid> = waiting.keys().take(limit).copied().collect();
        batches.into_iter().filter_map(|batch| waiting.remove_entry(&batch)).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, Touch>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_waits_once_and_remembers_that_a_job_failed() {
        let (touched, batch) = (Touched::default(), Uuid::from_u128(1));
        touched.touch(batch, Touch { failed: true });
        touched.touch(batch, Touch { failed: false });
        assert_eq!(touched.take(10), vec![(batch, Touch { failed: true })]);
        assert_eq!(touched.take(10), vec![]);
    }

    #[test]
    fn keeps_no_more_than_its_limit() {
        let touched = Touched::default();
        (0..=TOUCHED_MAX as u128).for_each(|id| touched.touch(Uuid::from_u128(id), Touch::default()));
        assert_eq!(touched.take(usize::MAX).len(), TOUCHED_MAX);
    }
}
