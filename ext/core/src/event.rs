//! What the runtime has to tell: things that a log line, a hook or the command line wants to know.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use uuid::Uuid;

use crate::wait_queue::{QueueClosed, WaitQueue, Waited, Wake};

/// Most events that wait for a reader; the oldest go first, and the next event read says how many went.
pub const EVENTS_MAX: usize = 1_000;
/// Above so many, notifications and questions are not told: a flood of them must not wash away a lost lease.
const NOTIFIED_BELOW: usize = EVENTS_MAX / 2;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Event {
    /// Connected for the first time, the tables are there, the process is registered.
    Ready {
        /// `good_job_processes.id`.
        process_id: String,
    },
    /// The database cannot be used. Said once a cause, not once an attempt.
    Unavailable {
        /// "refused", "authentication", "no_database", "missing_tables", "not_postgres", "configuration", ….
        reason: String,
        /// What happened.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A connection that was lost is back.
    Reconnected {
        /// Which: "claim", "finish" or "listen".
        connection: String,
        /// How long it was away, in µs.
        away_us: u64,
    },
    /// LISTEN is in force.
    Listening {
        /// The channel.
        channel: String,
    },
    /// LISTEN has been taken back, since there will be no more claims.
    Unlistened {
        /// The channel.
        channel: String,
    },
    /// It is time for the caller to say how its process is doing: [`crate::Runtime::note_vitals`].
    VitalsWanted,
    /// A notification arrived.
    Notified {
        /// As sent.
        payload: String,
    },
    /// A run ended whose job had meanwhile been given to somebody else. Nothing of it was stored.
    LostLease {
        /// The job.
        job_id: String,
        /// What had been tried: "finish", "retry", ….
        action: String,
    },
    /// The jobs of a dead process were put back.
    Rescued {
        /// The jobs.
        job_ids: Vec<String>,
    },
    /// Jobs were discarded because they had been cut short too often.
    Discarded {
        /// The jobs.
        job_ids: Vec<String>,
    },
    /// The caller's threads run again, after a time in which none could.
    Unblocked {
        /// For how long none could, in µs.
        blocked_us: u64,
        /// The runs that were under way meanwhile: "class id".
        runs: Vec<String>,
    },
    /// Batches are to be advanced: a job of theirs failed, or their jobs or callbacks have all ended.
    RipeBatches {
        /// The batches.
        batch_ids: Vec<String>,
    },
    /// Old jobs and batches were deleted.
    Cleaned {
        /// Jobs.
        jobs: u64,
        /// Execution rows.
        executions: u64,
        /// Batches.
        batches: u64,
    },
    /// Something failed that will be tried again, or a row could not be stored as it was.
    Error {
        /// What happened and what is done about it.
        message: String,
    },
    /// Events were lost because nobody read them in time.
    Skipped {
        /// How many.
        count: u64,
    },
}

/// The events that wait for a reader.
#[derive(Debug, Default)]
pub struct Events {
    waiting: WaitQueue<Event>,
    skipped: AtomicU64,
}

impl Events {
    /// Tells. Never waits: when nobody reads, the oldest event makes room.
    pub fn tell(&self, event: Event) {
        let mut event = event;
        if matches!(event, Event::Notified { .. } | Event::VitalsWanted) && self.waiting.level().buffered >= NOTIFIED_BELOW {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        while let Err(refused) = self.waiting.push_below(event, EVENTS_MAX) {
            match self.waiting.try_pop() {
                Ok(Some(_)) => self.skipped.fetch_add(1, Ordering::Relaxed),
                Ok(None) => 0,
                Err(QueueClosed) => return,
            };
            event = refused;
        }
    }

    /// Tells of discarded jobs, if there are any.
    pub fn tell_discarded(&self, job_ids: &[Uuid]) {
        if !job_ids.is_empty() {
            self.tell(Event::Discarded { job_ids: job_ids.iter().map(ToString::to_string).collect() });
        }
    }

    /// Waits for the next event. The first one after a gap says how wide the gap was.
    pub fn next(&self, wake: &Wake) -> Waited<Event> {
        match self.skipped.swap(0, Ordering::Relaxed) {
            0 => self.waiting.pop(wake, None, || ()),
            count => Waited::Item(Event::Skipped { count }),
        }
    }

    /// Ends the wait that holds `wake`.
    pub fn interrupt(&self, wake: &Wake) {
        self.waiting.wake(wake);
    }

    /// No more events; readers get what is left.
    pub fn close(&self) {
        self.waiting.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_many_events_were_lost_when_nobody_read() {
        let events = Events::default();
        for number in 0..EVENTS_MAX + 3 {
            events.tell(Event::Error { message: number.to_string() });
        }
        assert_eq!(events.next(&Wake::default()), Waited::Item(Event::Skipped { count: 3 }));
        assert_eq!(events.next(&Wake::default()), Waited::Item(Event::Error { message: "3".to_owned() }));
    }

    #[test]
    fn a_flood_of_notifications_washes_no_other_event_away() {
        let events = Events::default();
        let error = Event::Error { message: "keep me".to_owned() };
        events.tell(error.clone());
        for number in 0..2 * EVENTS_MAX {
            events.tell(Event::Notified { payload: number.to_string() });
        }
        assert_eq!(events.next(&Wake::default()), Waited::Item(Event::Skipped { count: 1_501 }));
        assert_eq!(events.next(&Wake::default()), Waited::Item(error));
    }
}
