//! Why no server could be connected to, over all the addresses that were tried.

use std::fmt;

use super::conninfo::ConnInfo;
use super::failure::{Failure, Reason};

/// How many failed attempts one message tells of.
const FAILURES_SHOWN_MAX: usize = 4;

/// There is no connection: what happened at each address, and what the user should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError {
    dbname: String,
    leading: Failure,
    places: Vec<String>,
    hidden: usize,
}

impl ConnectError {
    /// The kind of failure; of several attempts, the one that got furthest.
    pub fn reason(&self) -> Reason {
        self.leading.reason
    }

    /// What the user should do about it, in half a sentence.
    pub fn hint(&self) -> &str {
        &self.leading.hint
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not connect to database {:?}: {}", self.dbname, self.places.join("; "))?;
        match self.hidden {
            0 => Ok(()),
            hidden => write!(f, "; and {hidden} more attempts failed"),
        }
    }
}

impl std::error::Error for ConnectError {}

/// The failed attempts so far.
#[derive(Debug)]
pub(crate) struct Failures {
    dbname: String,
    list: Vec<(String, Failure)>,
}

impl Failures {
    pub(crate) fn new(conninfo: &ConnInfo) -> Self {
        Self { dbname: conninfo.dbname.clone(), list: Vec::new() }
    }

    /// Notes what went wrong at an address (`""` for what concerns none).
    pub(crate) fn push(&mut self, place: impl Into<String>, failure: Failure) {
        let entry = (place.into(), failure);
        if !self.list.contains(&entry) {
            self.list.push(entry);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    pub(crate) fn into_error(self) -> ConnectError {
        let leading = self.list.iter().map(|(_, failure)| failure).max_by_key(|failure| progress(failure.reason));
        let leading = leading.cloned().unwrap_or_else(|| Failure::new(Reason::Other, "no address to try"));
        let places = self.list.iter().take(FAILURES_SHOWN_MAX).map(|(place, failure)| match place.as_str() {
            "" => failure.to_string(),
            place => format!("{place}: {failure}"),
        });
        ConnectError { dbname: self.dbname, leading, places: places.collect(), hidden: self.list.len().saturating_sub(FAILURES_SHOWN_MAX) }
    }
}

/// How far an attempt got: of several, the furthest tells most.
fn progress(reason: Reason) -> u8 {
    match reason {
        Reason::Refused => 0,
        Reason::Timeout => 1,
        Reason::Other => 2,
        _ => 3,
    }
}
