//! The crate's one error: opaque, with questions on it.

use std::fmt;

/// Why a call into the queue failed. Its `Display` says what happened and, where the user can do something, what.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    InvalidInput,
    Stopped,
    Internal,
}

impl Error {
    /// Something the caller handed in is wrong: an option, a queue string, an outcome.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self { kind: Kind::InvalidInput, message: message.into() }
    }

    /// The runtime is not running: it was never started, or it has stopped.
    pub fn stopped(message: impl Into<String>) -> Self {
        Self { kind: Kind::Stopped, message: message.into() }
    }

    /// The operating system or the queue itself failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { kind: Kind::Internal, message: message.into() }
    }

    /// Whether the caller's input is at fault.
    pub fn is_invalid_input(&self) -> bool {
        self.kind == Kind::InvalidInput
    }

    /// Whether the runtime was not running.
    pub fn is_stopped(&self) -> bool {
        self.kind == Kind::Stopped
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
