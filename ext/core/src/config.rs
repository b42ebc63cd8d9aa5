//! What the caller asks for, checked once and frozen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;

use crate::error::Error;
use crate::lock_strategy::LockStrategy;
use crate::pool::PoolConfig;
use crate::postgres::connection::Session;
use crate::postgres::conninfo::ConnInfo;
use crate::postgres::sql::Tables;
use crate::queue_selector::{self, THREADS_MAX};

/// The options of [`crate::Runtime::new`] as they come over the boundary. All are required; an unknown one is an error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    connection: BTreeMap<String, String>,
    session: RawSession,
    tables: Tables,
    queues: String,
    max_threads: i64,
    prefetch: bool,
    poll_interval_us: Option<i64>,
    listen: bool,
    tell_notifications: bool,
    lock_strategy: String,
    max_interruptions: Option<i64>,
    process_state: String,
    cleanup: Option<RawCleanup>,
    pauses: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCleanup {
    age_us: i64,
    discarded: bool,
    every_jobs: Option<i64>,
    every_us: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSession {
    timezone: String,
    schema_search_path: Option<String>,
    variables: BTreeMap<String, Option<String>>,
    application_name: String,
}

/// What a runtime works with.
#[derive(Debug)]
pub struct Config {
    /// Where the database is.
    pub conninfo: ConnInfo,
    /// How every session is set up.
    pub session: Session,
    /// The names of the queue's tables.
    pub tables: Tables,
    /// At least one.
    pub pools: Vec<PoolConfig>,
    /// How often to look without being woken; `None`: never.
    pub poll_interval: Option<Duration>,
    /// Whether to LISTEN.
    pub listen: bool,
    /// Whether each notification is an event: one wakes a thread of the caller's.
    pub tell_notifications: bool,
    /// The interruption in a row with which a job is discarded; `None`: never.
    pub max_interruptions: Option<i32>,
    /// What the process row says of this process, without what the runtime adds.
    pub process_state: serde_json::Map<String, serde_json::Value>,
    /// What to delete by itself; `None`: nothing.
    pub cleanup: Option<CleanupConfig>,
    /// How claims are held.
    pub lock_strategy: LockStrategy,
    /// Whether anything may be paused.
    pub pauses: bool,
    /// Whether the jobs' table turned out to have no column `lock_type`.
    pub lock_type_missing: AtomicBool,
}

/// Which ended jobs and batches are deleted, and when that is looked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupConfig {
    /// Those that ended so long ago.
    pub age: Duration,
    /// Whether discarded ones are among them.
    pub discarded: bool,
    /// After more than so many runs in this process; negative: at every look.
    pub every_jobs: Option<i64>,
    /// After so much time; negative: at every look.
    pub every_us: Option<i64>,
}

impl CleanupConfig {
    /// Whether it is time, so many runs and so long after the last cleaning.
    pub fn is_due(&self, runs: u64, passed: Duration) -> bool {
        let over = |limit: Option<i64>, count: u128| limit.is_some_and(|limit| u128::try_from(limit).map_or(true, |limit| count > limit));
        over(self.every_jobs, u128::from(runs)) || over(self.every_us, passed.as_micros())
    }
}

impl From<RawCleanup> for CleanupConfig {
    fn from(raw: RawCleanup) -> Self {
        Self {
            age: Duration::from_micros(u64::try_from(raw.age_us).unwrap_or(0)),
            discarded: raw.discarded,
            every_jobs: raw.every_jobs,
            every_us: raw.every_us,
        }
    }
}

impl TryFrom<RawConfig> for Config {
    type Error = Error;

    fn try_from(raw: RawConfig) -> Result<Self, Error> {
        Ok(Self {
            lock_strategy: lock_strategy(&raw.lock_strategy)?,
            conninfo: ConnInfo::from_settings(raw.connection).map_err(|error| Error::invalid_input(error.to_string()))?,
            session: Session {
                timezone: raw.session.timezone,
                schema_search_path: raw.session.schema_search_path,
                variables: raw.session.variables.into_iter().collect(),
                application_name: raw.session.application_name,
                writes: true,
            },
            tables: raw.tables,
            pools: pools(&raw.queues, max_threads(raw.max_threads)?, raw.prefetch)?,
            poll_interval: poll_interval(raw.poll_interval_us)?,
            listen: raw.listen,
            tell_notifications: raw.tell_notifications,
            max_interruptions: max_interruptions(raw.max_interruptions)?,
            process_state: process_state(&raw.process_state)?,
            cleanup: raw.cleanup.map(CleanupConfig::from),
            pauses: raw.pauses,
            lock_type_missing: AtomicBool::new(false),
        })
    }
}

impl Config {
    /// How claims are held. Tables without `lock_type` are those of a GoodJob that knew advisory locks only.
    pub(crate) fn effective_lock_strategy(&self) -> LockStrategy {
        if self.has_lock_type() {
            self.lock_strategy
        } else {
            LockStrategy::Advisory
        }
    }

    /// Whether the jobs' table has the column `lock_type`.
    pub(crate) fn has_lock_type(&self) -> bool {
        !self.lock_type_missing.load(Ordering::Relaxed)
    }
}

fn lock_strategy(name: &str) -> Result<LockStrategy, Error> {
    LockStrategy::parse(name).ok_or_else(|| {
        Error::invalid_input(format!(
            "lock_strategy {name:?} is not supported; this runtime knows \"skiplocked\", \"hybrid\" and \"advisory\""
        ))
    })
}

fn max_threads(count: i64) -> Result<usize, Error> {
    usize::try_from(count)
        .ok()
        .filter(|count| (1..=THREADS_MAX).contains(count))
        .ok_or_else(|| Error::invalid_input(format!("max_threads must be a whole number from 1 to {THREADS_MAX}; it is {count}")))
}

fn pools(queues: &str, max_threads: usize, prefetch: bool) -> Result<Vec<PoolConfig>, Error> {
    let specs = queue_selector::parse(queues)?;
    Ok(specs
        .into_iter()
        .map(|spec| PoolConfig { name: spec.name, queues: spec.queues, max_threads: spec.max_threads.unwrap_or(max_threads), prefetch })
        .collect())
}

fn poll_interval(interval_us: Option<i64>) -> Result<Option<Duration>, Error> {
    interval_us
        .map(|us| match u64::try_from(us) {
            Ok(us) if us > 0 => Ok(Duration::from_micros(us)),
            _ => Err(Error::invalid_input(format!("poll_interval_us must be greater than 0, or nil for no polling; it is {us}"))),
        })
        .transpose()
}

fn max_interruptions(count: Option<i64>) -> Result<Option<i32>, Error> {
    count
        .map(|count| match i32::try_from(count) {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(Error::invalid_input(format!("max_interruptions must be from 1 to {}, or nil for no limit; it is {count}", i32::MAX))),
        })
        .transpose()
}

fn process_state(json: &str) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    serde_json::from_str(json).map_err(|error| Error::invalid_input(format!("process_state must be the text of a JSON object: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning_is_due_after_either_interval_and_always_where_one_is_negative() {
        let is_due = |every_jobs, every_us, runs, passed_s| {
            let config = CleanupConfig { age: Duration::ZERO, discarded: true, every_jobs, every_us };
            config.is_due(runs, Duration::from_secs(passed_s))
        };
        assert_eq!([1, 2, 3].map(|runs| is_due(Some(2), None, runs, 1_000)), [false, false, true]);
        assert_eq!([1, 2, 3].map(|passed| is_due(None, Some(2_000_000), 1_000, passed)), [false, false, true]);
        assert!(is_due(Some(-1), None, 0, 0));
        assert!(is_due(None, Some(-1_000_000), 0, 0));
        assert!(!is_due(None, None, u64::MAX, 1_000_000));
    }
}
