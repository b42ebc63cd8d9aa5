//! The runs under way: every claim that Ruby has taken and not yet finished, by the number that Ruby knows it by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::job::{JobRow, Moment, Ticket};

/// A claim that Ruby is running.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The claim.
    pub(crate) ticket: Ticket,
    /// The job, without its payload, for whoever asks.
    pub(crate) job: Arc<JobRow>,
    /// When Ruby took it.
    pub(crate) started: Instant,
}

impl Run {
    /// When Ruby took it, by the database's clock.
    pub(crate) fn started_at(&self) -> Moment {
        let since_claim = self.started.saturating_duration_since(self.ticket.received);
        Moment(self.ticket.claimed_at.0 + i64::try_from(since_claim.as_micros()).unwrap_or(0))
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    runs: Mutex<Runs>,
}

#[derive(Debug, Default)]
struct Runs {
    last_number: u64,
    by_number: BTreeMap<u64, Run>,
}

impl InFlight {
    /// Takes note of a run that begins; gives its number.
    pub(crate) fn begin(&self, ticket: Ticket, job: JobRow, started: Instant) -> u64 {
        let mut runs = self.lock();
        runs.last_number += 1;
        let number = runs.last_number;
        runs.by_number.insert(number, Run { ticket, job: Arc::new(job), started });
        number
    }

    /// A run that is under way.
    pub(crate) fn find(&self, number: u64) -> Option<Run> {
        self.lock().by_number.get(&number).cloned()
    }

    /// The longest runs under way, `limit` at most: class and id.
    pub(crate) fn describe(&self, limit: usize) -> Vec<String> {
        let runs = self.lock();
        let name = |run: &Run| format!("{} {}", run.job.job_class.as_deref().unwrap_or("job"), run.ticket.lease.job_id);
        runs.by_number.values().take(limit).map(name).collect()
    }

    /// Takes a run out: it has ended.
    pub(crate) fn end(&self, number: u64) -> Option<Run> {
        self.lock().by_number.remove(&number)
    }

    /// Takes all runs out.
    pub(crate) fn end_all(&self) -> Vec<Run> {
        std::mem::take(&mut self.lock().by_number).into_values().collect()
    }

    /// Runs that have lasted at least `age` and that the database does not know to have started.
    pub(crate) fn unstamped(&self, age: Duration) -> Vec<(u64, Run)> {
        let runs = self.lock();
        let lasting = runs.by_number.iter().filter(|(_, run)| !run.ticket.stamped && run.started.elapsed() >= age);
        lasting.map(|(number, run)| (*number, run.clone())).collect()
    }

    /// Whether any run is not known to the database to have started.
    pub(crate) fn any_unstamped(&self) -> bool {
        self.lock().by_number.values().any(|run| !run.ticket.stamped)
    }

    /// Takes note that the database knows.
    pub(crate) fn mark_stamped(&self, number: u64) {
        if let Some(run) = self.lock().by_number.get_mut(&number) {
            run.ticket.executions_count = run.ticket.executions_count_started();
            run.ticket.stamped = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
