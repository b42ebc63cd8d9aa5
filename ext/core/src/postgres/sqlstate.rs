//! What an error on a connection means for what comes next: connect anew, try again, or give up on the statement.

use std::error::Error as StdError;
use std::io;

use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::Error;

/// Whether the session is of no more use, so that the next thing to do is to connect again.
///
/// By SQLSTATE first: a session that the server ends reports its reason, and only the next call sees it closed. A server that
/// has become read-only and a session whose prepared statements are gone (a pooler gave it to someone else) count too: only a
/// new connection helps.
pub fn is_connection_lost(error: &Error) -> bool {
    match error.as_db_error() {
        Some(db) => {
            let is_fatal = matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
            is_fatal || ends_session(db.code())
        }
        None => error.is_closed() || io_source(error).is_some(),
    }
}

/// Whether the same statement may well succeed if it is tried again, on this connection or on a new one.
pub fn is_transient(error: &Error) -> bool {
    is_connection_lost(error) || error.code().is_some_and(may_pass)
}

fn ends_session(code: &SqlState) -> bool {
    // Class 08: connection exceptions. 57P: the operator or a time limit ended the session.
    code.code().starts_with("08")
        || code.code().starts_with("57P")
        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
        || *code == SqlState::INVALID_SQL_STATEMENT_NAME
}

fn may_pass(code: &SqlState) -> bool {
    // Class 40: serialization failures and deadlocks. Class 53: out of connections, memory or disk. Class 58: the server's own I/O.
    ["40", "53", "58"].iter().any(|class| code.code().starts_with(class))
        || *code == SqlState::QUERY_CANCELED
        || *code == SqlState::LOCK_NOT_AVAILABLE
        || *code == SqlState::OBJECT_IN_USE
}

fn io_source(error: &Error) -> Option<&io::Error> {
    find(error)
}

/// The first error of type `T` in a chain of causes, also inside `io::Error`, which hides its content from `source`.
pub(crate) fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let content = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match content {
            Some(content) => Some(content),
            None => error.source(),
        };
    }
    None
}
