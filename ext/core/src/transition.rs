//! The change that an outcome causes in the database. Pure: no clock, no connection.

use serde::Serialize;

use crate::outcome::{Failure, NextAttempt, Outcome};

/// What happens to the job's row and whether the run gets an execution row.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// `finished_at` is set, with or without an error; one execution row.
    Finish(Option<Failure>),
    /// The job and its execution rows go; the error is for the log and for rows that must stay all the same (cron's).
    Delete(Option<Failure>),
    /// Back for another attempt: `performed_at` and `finished_at` are cleared; one execution row for the attempt that ended.
    Retry(Option<Failure>, Option<NextAttempt>),
    /// Given back with `performed_at` kept, so that the next attempt knows.
    Interrupt,
    /// Given back as it was before the claim.
    Release,
    /// Given back as it was, but kept apart until this moment, or until something fetches it; `None`: as park_jobs.sql says.
    Park(Option<i64>),
}

/// Decides what an outcome does to the job.
pub fn decide(outcome: Outcome) -> Transition {
    match outcome {
        Outcome::Finished { failure, preserve: true } => Transition::Finish(failure),
        Outcome::Finished { failure, preserve: false } => Transition::Delete(failure),
        Outcome::Retried { failure, next } => Transition::Retry(failure, next),
        Outcome::Interrupted => Transition::Interrupt,
        Outcome::Unstarted => Transition::Release,
        Outcome::Parked { until } => Transition::Park(until),
    }
}

/// A transition as plain data, for the inline mode, which writes it on the application's connection.
#[derive(Debug, Serialize)]
pub struct FlatTransition {
    action: &'static str,
    error: Option<String>,
    error_event: Option<i16>,
    error_backtrace: Option<Vec<String>>,
    serialized_params: Option<String>,
    scheduled_at: Option<i64>,
    queue_name: Option<String>,
    priority: Option<i32>,
    labels: Option<Vec<String>>,
    record_execution: bool,
}

impl From<Transition> for FlatTransition {
    fn from(transition: Transition) -> Self {
        let flat = |action| Self {
            action,
            error: None,
            error_event: None,
            error_backtrace: None,
            serialized_params: None,
            scheduled_at: None,
            queue_name: None,
            priority: None,
            labels: None,
            record_execution: false,
        };
        match transition {
            Transition::Finish(failure) => Self { record_execution: true, ..flat("finish") }.with_failure(failure),
            Transition::Delete(failure) => flat("delete").with_failure(failure),
            Transition::Retry(failure, next) => Self { record_execution: true, ..flat("retry") }.with_failure(failure).with_next(next),
            // What is written of it is made up where it is written.
            Transition::Interrupt => Self { record_execution: true, ..flat("interrupt") },
            // Nothing is parked inline: what does not run there is raised.
            Transition::Release | Transition::Park(_) => flat("release"),
        }
    }
}

impl FlatTransition {
    fn with_failure(mut self, failure: Option<Failure>) -> Self {
        if let Some(failure) = failure {
            self.error = Some(failure.error);
            self.error_event = Some(failure.event as i16);
            self.error_backtrace = Some(failure.backtrace);
        }
        self
    }

    fn with_next(mut self, next: Option<NextAttempt>) -> Self {
        if let Some(next) = next {
            self.serialized_params = Some(next.serialized_params);
            self.scheduled_at = next.scheduled_at;
            self.queue_name = Some(next.queue_name);
            self.priority = next.priority;
            self.labels = next.labels;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::ErrorEvent;

    fn failure() -> Failure {
        Failure::new("E: m", ErrorEvent::Unhandled, vec![])
    }

    #[test]
    fn every_outcome_has_one_transition() {
        let cases = [
            (Outcome::Finished { failure: None, preserve: true }, Transition::Finish(None)),
            (Outcome::Finished { failure: Some(failure()), preserve: true }, Transition::Finish(Some(failure()))),
            (Outcome::Finished { failure: None, preserve: false }, Transition::Delete(None)),
            (Outcome::Finished { failure: Some(failure()), preserve: false }, Transition::Delete(Some(failure()))),
            (Outcome::Retried { failure: Some(failure()), next: None }, Transition::Retry(Some(failure()), None)),
            (Outcome::Interrupted, Transition::Interrupt),
            (Outcome::Unstarted, Transition::Release),
            (Outcome::Parked { until: Some(1) }, Transition::Park(Some(1))),
        ];
        for (outcome, transition) in cases {
            assert_eq!(decide(outcome), transition);
        }
    }
}
