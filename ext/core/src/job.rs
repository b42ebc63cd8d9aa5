//! A claim: a job that this process holds, and the lease that proves it.

use std::time::Instant;

use uuid::Uuid;

/// A moment in µs since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub i64);

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
