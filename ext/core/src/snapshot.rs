//! How a runtime stands, told to people, to probes, and to whoever reads process rows.

use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::phase::Phase;
use crate::pool::Pool;

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
    pub(crate) fn as_scheduler(&self) -> serde_json::Value {
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
        })
    }
}
