//! How a runtime stands, told to people, to probes, and to whoever reads process rows.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::job::Moment;
use crate::phase::Phase;
use crate::pool::{Activity, Pool};

/// How often the caller is asked how its process is doing.
const VITALS_INTERVAL: Duration = Duration::from_secs(5);

/// The state of a runtime, for people and probes.
#[derive(Debug, Serialize)]
pub struct Snapshot {
    pub(crate) state: Phase,
    pub(crate) connected: bool,
    pub(crate) listening: bool,
    pub(crate) pools: Vec<PoolSnapshot>,
    pub(crate) unsaved_outcomes: usize,
    /// For how long none of the caller's threads could run.
    pub(crate) blocked_us: u64,
}

/// The state of a pool.
#[derive(Debug, Serialize)]
pub(crate) struct PoolSnapshot {
    name: String,
    max_threads: usize,
    active_threads: u64,
    available_threads: u64,
    buffered: usize,
    pub(crate) succeeded: u64,
    pub(crate) errored: u64,
    total: u64,
    empty: u64,
}

impl From<&Pool> for PoolSnapshot {
    fn from(pool: &Pool) -> Self {
        let counters = &pool.counters;
        let active = counters.active.load(Ordering::Relaxed);
        let succeeded = counters.succeeded.load(Ordering::Relaxed);
        let errored = counters.errored.load(Ordering::Relaxed);
        Self {
            name: pool.config.name.clone(),
            max_threads: pool.config.max_threads,
            active_threads: active,
            available_threads: (pool.config.max_threads as u64).saturating_sub(active),
            buffered: pool.buffered(),
            succeeded,
            errored,
            total: succeeded + errored,
            empty: counters.empty.load(Ordering::Relaxed),
        }
    }
}

impl PoolSnapshot {
    /// In GoodJob's own words for a process row.
    pub(crate) fn as_scheduler(&self, activity: Activity) -> Value {
        serde_json::json!({
            "name": format!("GoodJob::Scheduler(queues={} max_threads={})", self.name, self.max_threads),
            "queues": self.name,
            "max_threads": self.max_threads,
            "active_threads": self.active_threads,
            "available_threads": self.available_threads,
            "empty_executions_count": self.empty,
            "errored_executions_count": self.errored,
            "succeeded_executions_count": self.succeeded,
            "total_executions_count": self.total,
            "execution_at": activity.ran_at.and_then(Moment::to_iso8601),
            "check_queue_at": activity.looked_at.and_then(Moment::to_iso8601),
        })
    }
}

/// What only the caller can say of its process, and says when it is asked: memory, connections. For the process's row.
#[derive(Debug)]
pub(crate) struct Vitals {
    said: Mutex<Map<String, Value>>,
    asked_at: Mutex<Instant>,
}

impl Default for Vitals {
    /// The caller has just said it.
    fn default() -> Self {
        Self { said: Mutex::default(), asked_at: Mutex::new(Instant::now()) }
    }
}

impl Vitals {
    /// Whether to ask again; whoever is told so does.
    pub(crate) fn is_time_to_ask(&self, now: Instant) -> bool {
        let mut asked_at = self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = now.saturating_duration_since(*asked_at) >= VITALS_INTERVAL;
        if is_time {
            *asked_at = now;
        }
        is_time
    }

    /// Takes note of the answer.
    pub(crate) fn note(&self, said: Map<String, Value>) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }

    /// Puts the last answer into a process row's state.
    pub(crate) fn add_to(&self, state: &mut Map<String, Value>) {
        state.extend(self.said.lock().unwrap_or_else(PoisonError::into_inner).clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vitals_are_asked_for_now_and_then_and_the_last_answer_counts() {
        let vitals = Vitals::default();
        let later = Instant::now() + VITALS_INTERVAL;
        let asked: Vec<bool> = [Instant::now(), later, later].map(|now| vitals.is_time_to_ask(now)).to_vec();
        assert_eq!(asked, [false, true, false]);

        let mut state = Map::from_iter([("pid".to_owned(), 1.into()), ("memory".to_owned(), 5.into())]);
        vitals.note(Map::from_iter([("memory".to_owned(), 7.into())]));
        vitals.add_to(&mut state);
        assert_eq!(Value::from(state), serde_json::json!({"pid": 1, "memory": 7}));
    }
}
