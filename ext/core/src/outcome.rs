//! How a run ended: a plain value, made by whoever ran the job.

use serde::Deserialize;

use crate::error::Error;

/// Longest error text that is stored, in bytes; the rest is cut and the cut is said.
pub const ERROR_BYTES_MAX: usize = 64 * 1024;
/// Most lines of a backtrace that are stored.
pub const BACKTRACE_LINES_MAX: usize = 500;
/// Longest line of a backtrace that is stored, in bytes.
pub const BACKTRACE_LINE_BYTES_MAX: usize = 4 * 1024;

/// The state of an outcome without an error, as it comes over the boundary.
pub const SUCCEEDED: &str = "succeeded";

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// `perform` returned, or an exception was handled and swallowed by the job itself with an error to record.
    Finished {
        /// What to record, if anything went wrong.
        failure: Option<Failure>,
        /// Whether the row stays (`preserve_job_records`).
        preserve: bool,
    },
    /// The job goes back for another attempt.
    Retried {
        /// Why, if there was an exception.
        failure: Option<Failure>,
        /// What Active Job serialized for the next attempt; `None`: as it was, at once.
        next: Option<NextAttempt>,
    },
    /// The run was cut short (its thread was killed): the next attempt shall know.
    Interrupted,
    /// The claim was never started and is given back as it was.
    Unstarted,
    /// The claim was not started because its concurrency key is full: it is put where no claim looks, until something fetches it.
    Parked {
        /// When it becomes due by itself, in µs since the Unix epoch; `None`: as park_jobs.sql says.
        until: Option<i64>,
    },
}

/// An error as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// "Class: message".
    pub error: String,
    /// `good_jobs.error_event`.
    pub event: ErrorEvent,
    /// Lines, innermost first.
    pub backtrace: Vec<String>,
}

/// How an error was treated; the numbers are the database's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum ErrorEvent {
    /// The previous attempt died.
    Interrupted = 0,
    /// Nothing rescued it.
    Unhandled = 1,
    /// `rescue_from` or the like.
    Handled = 2,
    /// `retry_on`.
    Retried = 3,
    /// `retry_on` ran out of attempts.
    RetryStopped = 4,
    /// `discard_on`, or an operator.
    Discarded = 5,
}

/// What Active Job serialized for another attempt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextAttempt {
    /// JSON text.
    pub serialized_params: String,
    /// µs since the Unix epoch; `None` means now.
    pub scheduled_at: Option<i64>,
    /// Queue to go to.
    pub queue_name: String,
    /// Smaller runs first.
    pub priority: Option<i32>,
    /// Labels of the next attempt.
    pub labels: Option<Vec<String>>,
}

/// An outcome as it comes over the boundary; [`Outcome::try_from`] checks it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOutcome {
    state: State,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_event: Option<ErrorEvent>,
    #[serde(default)]
    error_backtrace: Option<Vec<String>>,
    preserve: bool,
    #[serde(default)]
    retry: Option<NextAttempt>,
    #[serde(default)]
    until: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Succeeded,
    Failed,
    Retried,
    Interrupted,
    Unstarted,
    Parked,
}

impl TryFrom<RawOutcome> for Outcome {
    type Error = Error;

    fn try_from(raw: RawOutcome) -> Result<Self, Error> {
        let failure = Failure::from_parts(raw.error, raw.error_event, raw.error_backtrace)?;
        match raw.state {
            State::Succeeded if failure.is_some() => {
                Err(Error::invalid_input("outcome: a run that succeeded has no error; its state is \"failed\""))
            }
            State::Failed if failure.is_none() => Err(Error::invalid_input("outcome: state \"failed\" needs error and error_event")),
            State::Succeeded | State::Failed => Ok(Self::Finished { failure, preserve: raw.preserve }),
            State::Retried => Ok(Self::Retried { failure, next: raw.retry.map(NextAttempt::storable) }),
            State::Interrupted => Ok(Self::Interrupted),
            State::Unstarted => Ok(Self::Unstarted),
            State::Parked => Ok(Self::Parked { until: raw.until }),
        }
    }
}

impl Failure {
    fn from_parts(error: Option<String>, event: Option<ErrorEvent>, backtrace: Option<Vec<String>>) -> Result<Option<Self>, Error> {
        match (error, event) {
            (None, None) => Ok(None),
            (Some(error), Some(event)) => Ok(Some(Self::new(&error, event, backtrace.unwrap_or_default()))),
            _ => Err(Error::invalid_input("outcome: error and error_event go together")),
        }
    }

    /// An error made readable and bounded, whatever was raised.
    pub fn new(error: &str, event: ErrorEvent, backtrace: Vec<String>) -> Self {
        let backtrace = backtrace.iter().take(BACKTRACE_LINES_MAX).map(|line| storable_text(line, BACKTRACE_LINE_BYTES_MAX)).collect();
        Self { error: storable_text(error, ERROR_BYTES_MAX), event, backtrace }
    }
}

impl NextAttempt {
    fn storable(mut self) -> Self {
        self.queue_name = storable_text(&self.queue_name, ERROR_BYTES_MAX);
        self
    }
}

/// Text that a Postgres column takes: a NUL byte, which `text` cannot hold, becomes its visible symbol; too much is cut at a character.
pub fn storable_text(text: &str, bytes_max: usize) -> String {
    let readable = if text.contains('\0') { text.replace('\0', "\u{2400}") } else { text.to_owned() };
    if readable.len() <= bytes_max {
        return readable;
    }
    let mut end = bytes_max;
    while !readable.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… [cut: {} bytes in all]", &readable[..end], readable.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(json: &str) -> Result<Outcome, String> {
        let raw: RawOutcome = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Outcome::try_from(raw).map_err(|error| error.to_string())
    }

    #[test]
    fn makes_nul_bytes_visible_and_cuts_at_a_character() {
        assert_eq!(storable_text("a\0b", 100), "a\u{2400}b");
        assert_eq!(storable_text("ääää", 3), "ä… [cut: 8 bytes in all]");
        assert_eq!(storable_text("short", 5), "short");
    }

    #[test]
    fn bounds_the_backtrace() {
        let failure = Failure::new("E: m", ErrorEvent::Unhandled, vec!["x".repeat(10_000); 1_000]);
        assert_eq!(failure.backtrace.len(), BACKTRACE_LINES_MAX);
        assert!(failure.backtrace[0].len() < BACKTRACE_LINE_BYTES_MAX + 40);
    }

    #[test]
    fn refuses_outcomes_that_contradict_themselves() {
        assert!(outcome(r#"{"state":"succeeded","preserve":true,"error":"E: m","error_event":"handled"}"#).is_err());
        assert!(outcome(r#"{"state":"failed","preserve":true}"#).is_err());
        assert!(outcome(r#"{"state":"failed","preserve":true,"error":"E: m"}"#).is_err());
    }

    #[test]
    fn names_an_unknown_key_and_an_unknown_state() {
        assert!(outcome(r#"{"state":"succeeded","preserve":true,"colour":1}"#).unwrap_err().contains("colour"));
        assert!(outcome(r#"{"state":"eaten","preserve":true}"#).unwrap_err().contains("eaten"));
    }

    #[test]
    fn reads_every_state() {
        assert_eq!(outcome(r#"{"state":"succeeded","preserve":false}"#), Ok(Outcome::Finished { failure: None, preserve: false }));
        assert_eq!(outcome(r#"{"state":"interrupted","preserve":true}"#), Ok(Outcome::Interrupted));
        assert_eq!(outcome(r#"{"state":"parked","preserve":true,"until":5}"#), Ok(Outcome::Parked { until: Some(5) }));
        assert_eq!(outcome(r#"{"state":"unstarted","preserve":true}"#), Ok(Outcome::Unstarted));
        assert!(matches!(
            outcome(
                r#"{"state":"retried","preserve":true,"retry":{"serialized_params":"{}","scheduled_at":null,"queue_name":"q","priority":null,"labels":null}}"#
            ),
            Ok(Outcome::Retried { failure: None, next: Some(_) })
        ));
    }
}
