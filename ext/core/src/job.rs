//! A claim: a job that this process holds, and the lease that proves it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use uuid::Uuid;

/// A moment in µs since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub i64);

impl Moment {
    /// Now, by this host's clock.
    pub fn here() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// How long until then, counted from `now`; `None` if that is over.
    pub fn delay_from(self, now: Self) -> Option<Duration> {
        let delay_us = u64::try_from(self.0.saturating_sub(now.0)).ok()?;
        (delay_us > 0).then(|| Duration::from_micros(delay_us))
    }

    /// As ISO 8601 writes it, in ms; `None` outside of the years that have four digits.
    pub fn to_iso8601(self) -> Option<String> {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).ok()?;
        let (date, (hour, minute, second, milli)) = (at.date(), at.time().as_hms_milli());
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        (0..10_000).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
    }
}

/// `locked_at` exactly as Postgres stores it (µs since 2000-01-01, no time zone). Only ever compared for equality: it tells this
/// claim of a job from every earlier and later claim of the same job, by the same process too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub i64);

/// What proves that this process holds a job, together with its process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// `good_jobs.id`.
    pub job_id: Uuid,
    /// `good_jobs.locked_at`.
    pub token: Token,
}

/// The part of a claim that stays in the runtime while Ruby runs the job: all that is needed to end it.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Proof of the claim.
    pub lease: Lease,
    /// Index of the pool that claimed it.
    pub pool: usize,
    /// Whether `performed_at` and `executions_count` already say that this run has started.
    pub stamped: bool,
    /// `executions_count` in the database now.
    pub executions_count: i32,
    /// `performed_at` before the claim: set if an earlier attempt was cut short.
    pub interrupted_at: Option<Moment>,
    /// Whether a process died that held the job and had not put on record that it started: it may have, and have been the cause.
    pub rescued: bool,
    /// When the claim statement ran, by the database's clock.
    pub claimed_at: Moment,
    /// When the claim arrived here.
    pub received: Instant,
}

impl Ticket {
    /// `executions_count` as it must read once this run has started.
    pub fn executions_count_started(&self) -> i32 {
        self.executions_count + i32::from(!self.stamped)
    }

    /// `executions_count` as it was before the claim.
    pub fn executions_count_unstarted(&self) -> i32 {
        self.executions_count - i32::from(self.stamped)
    }
}

/// What Ruby is told of the job.
#[derive(Debug, Clone)]
pub struct JobRow {
    /// What `ActiveJob::Base#serialize` gave, as JSON text. The queue never looks inside.
    pub serialized_params: Option<String>,
    /// `good_jobs.queue_name`.
    pub queue_name: Option<String>,
    /// `good_jobs.priority`.
    pub priority: Option<i32>,
    /// `good_jobs.job_class`.
    pub job_class: Option<String>,
    /// `good_jobs.concurrency_key`.
    pub concurrency_key: Option<String>,
    /// `good_jobs.labels`.
    pub labels: Option<Vec<String>>,
    /// `good_jobs.scheduled_at`.
    pub scheduled_at: Option<Moment>,
    /// `good_jobs.created_at`.
    pub created_at: Moment,
}

/// A job that this process holds.
#[derive(Debug, Clone)]
pub struct Claim {
    /// What the runtime keeps.
    pub ticket: Ticket,
    /// What Ruby gets.
    pub job: JobRow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_iso_8601_in_ms() {
        assert_eq!(Moment(1_700_000_010_123_456).to_iso8601().as_deref(), Some("2023-11-14T22:13:30.123Z"));
        assert_eq!(Moment(i64::MAX).to_iso8601(), None);
    }

    #[test]
    fn what_is_over_is_not_waited_for() {
        assert_eq!(Moment(7).delay_from(Moment(5)), Some(Duration::from_micros(2)));
        for over in [Moment(5), Moment(3), Moment(i64::MIN)] {
            assert_eq!(over.delay_from(Moment(5)), None);
        }
    }
}
