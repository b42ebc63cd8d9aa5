//! A run that has ended and is not yet stored; a claim that goes back; a start that must be on record first. Everything that the
//! threads hand to the completer, and the bounded queue through which they do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use crate::job::{Moment, Ticket};
use crate::transition::Transition;
use crate::wait_queue::{WaitQueue, Waited, Wake};

/// Most outcomes that wait for the database; then whoever finishes a job waits.
pub const UNSAVED_MAX: usize = 1_000;

/// A run that has ended.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The claim.
    pub ticket: Ticket,
    /// What becomes of the job.
    pub transition: Transition,
    /// When the run started, by the database's clock.
    pub started_at: Moment,
    /// How long it took.
    pub duration: Duration,
    /// Id of the execution row, drawn before the first flush, so that one whose answer was lost can be checked and repeated. Ascending in
    /// time, so that the index on it grows at one end.
    pub execution_id: Uuid,
    /// Whether it was sent once already and the answer lost: it may be stored.
    pub in_doubt: bool,
}

impl Completion {
    /// A run that has ended.
    pub fn new(ticket: Ticket, transition: Transition, started_at: Moment, duration: Duration) -> Self {
        Self { ticket, transition, started_at, duration, execution_id: Uuid::nil(), in_doubt: false }
    }

    /// A claim that goes back as it was.
    pub fn unstarted(ticket: Ticket) -> Self {
        let started_at = ticket.claimed_at;
        Self::new(ticket, Transition::Release, started_at, Duration::ZERO)
    }

    /// When the run ended, by the database's clock.
    pub fn ended_at(&self) -> Moment {
        Moment(self.started_at.0.saturating_add(i64::try_from(self.duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// A run that must be on record as started before it starts.
#[derive(Debug)]
pub struct Stamp {
    /// The claim.
    pub ticket: Ticket,
    /// Now, by the database's clock.
    pub started_at: Moment,
    /// Gets whether the lease still holds.
    pub reply: Arc<WaitQueue<bool>>,
}

/// Without an answer, whoever waits for it must not run the job.
impl Drop for Stamp {
    fn drop(&mut self) {
        self.reply.close();
    }
}

/// What waits to be stored.
#[derive(Debug, Default)]
pub struct Unsaved {
    completions: WaitQueue<Completion>,
    stamps: WaitQueue<Stamp>,
    /// Runs that have ended and whose completions are on their way here.
    expected: AtomicUsize,
    /// Completions of the flush under way.
    storing: AtomicUsize,
    /// Closed and opened by the completer: who waits for room waits here.
    room: WaitQueue<()>,
    arrived: Notify,
}

impl Unsaved {
    /// A completion will come: by [`Self::push`] or [`Self::push_expected`].
    pub fn expect(&self) {
        self.expected.fetch_add(1, Ordering::SeqCst);
    }

    /// An expected completion will not come after all.
    pub fn expect_less(&self) {
        self.expected.fetch_sub(1, Ordering::SeqCst);
        self.arrived.notify_one();
    }

    /// Whether completions are still to come.
    pub fn any_expected(&self) -> bool {
        self.expected.load(Ordering::SeqCst) > 0
    }

    /// Adds an expected completion; gives it back if there is no room.
    pub fn push(&self, completion: Completion) -> Result<(), Box<Completion>> {
        self.completions.push_below(completion, UNSAVED_MAX).map_err(Box::new)?;
        self.expected.fetch_sub(1, Ordering::SeqCst);
        self.arrived.notify_one();
        Ok(())
    }

    /// Adds an expected completion that cannot wait for room: the outcome of a thread that is being killed.
    pub fn push_expected(&self, completion: Completion) {
        let _ = self.completions.push(completion);
        self.expected.fetch_sub(1, Ordering::SeqCst);
        self.arrived.notify_one();
    }

    /// Adds what cannot wait for room: a claim that is given back. There are never more of these than there were claims.
    pub fn push_regardless(&self, completion: Completion) {
        if self.completions.push(completion).is_ok() {
            self.arrived.notify_one();
        }
    }

    /// Adds a start.
    pub fn push_stamp(&self, stamp: Stamp) {
        if self.stamps.push(stamp).is_ok() {
            self.arrived.notify_one();
        }
    }

    /// Waits for room.
    pub fn wait_for_room(&self, wake: &Wake) -> Waited<()> {
        self.room.pop(wake, None, || ())
    }

    /// Ends the wait for room that holds `wake`.
    pub fn interrupt(&self, wake: &Wake) {
        self.room.wake(wake);
    }

    /// Waits for something to store.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Up to `limit` completions, oldest first, and all starts. For the completer only: nobody else may take from the queue.
    pub fn drain(&self, limit: usize) -> (Vec<Completion>, Vec<Stamp>) {
        // Counted before they leave the queue: nobody who asks in between must hear that nothing is unsaved.
        let count = self.completions.level().buffered.min(limit);
        self.storing.fetch_add(count, Ordering::SeqCst);
        let mut completions = self.completions.drain(count);
        // Here and not where the run ends: that is a thread of the caller's, which has better things to do.
        completions.iter_mut().filter(|run| run.execution_id.is_nil()).for_each(|run| run.execution_id = Uuid::now_v7());
        for _ in 0..self.room.level().waiting.min(completions.len()) {
            let _ = self.room.push_below((), UNSAVED_MAX);
        }
        (completions, self.stamps.drain(limit))
    }

    /// So many completions of a drain are stored.
    pub fn stored(&self, count: usize) {
        self.storing.fetch_sub(count, Ordering::SeqCst);
    }

    /// Nothing will be stored any more: whoever waits for room or for the record of a start learns of it.
    pub fn close(&self) {
        self.completions.close();
        self.room.close();
        self.stamps.close();
        drop(self.stamps.drain(usize::MAX));
    }

    /// How many completions are not stored: they wait, or are in the flush under way.
    pub fn len(&self) -> usize {
        self.completions.level().buffered + self.storing.load(Ordering::SeqCst)
    }

    /// Whether all are stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::job::{Lease, Token};

    fn completion() -> Completion {
        let lease = Lease { job_id: Uuid::nil(), token: Token(0) };
        let claimed_at = Moment(0);
        Completion::unstarted(Ticket {
            lease,
            pool: 0,
            stamped: false,
            executions_count: 0,
            interrupted_at: None,
            rescued: false,
            claimed_at,
            received: Instant::now(),
        })
    }

    #[test]
    fn what_is_being_stored_counts_as_unsaved_from_the_first_moment_on() {
        const ROUNDS: usize = 2_000;
        let (unsaved, stored) = (Unsaved::default(), AtomicBool::new(true));
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    while unsaved.drain(10).0.is_empty() {
                        thread::yield_now();
                    }
                    stored.store(true, Ordering::SeqCst);
                    unsaved.stored(1);
                }
            });
            let too_soon = |_round: &usize| {
                while !unsaved.is_empty() {
                    thread::yield_now();
                }
                let too_soon = !stored.swap(false, Ordering::SeqCst);
                unsaved.push_regardless(completion());
                too_soon
            };
            assert_eq!((0..ROUNDS).filter(too_soon).count(), 0);
        });
    }
}
