//! One failed attempt to connect: what happened, of which kind it is, and what the user should do.

use std::fmt;
use std::io;

use tokio_postgres::error::{DbError, SqlState};

use super::conninfo::ConnInfoError;
use super::sqlstate::find;
use super::wire::ForeignAnswer;

/// How much of a server's own words is passed on.
const MESSAGE_CHARS_MAX: usize = 500;

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nobody can be reached there.
    Refused,
    /// The server does not let this user in.
    Authentication,
    /// The server has no such database.
    NoDatabase,
    /// What answers is not PostgreSQL.
    NotPostgres,
    /// No TLS as strong as asked for.
    Tls,
    /// A setting cannot be used.
    Configuration,
    /// The server has no free connection.
    TooManyConnections,
    /// No answer in time.
    Timeout,
    /// The server is starting, stopping or recovering.
    StartingUp,
    /// The server takes no writes.
    ReadOnly,
    /// Anything else.
    Other,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Authentication => "authentication",
            Self::NoDatabase => "no_database",
            Self::NotPostgres => "not_postgres",
            Self::Tls => "tls",
            Self::Configuration => "configuration",
            Self::TooManyConnections => "too_many_connections",
            Self::Timeout => "timeout",
            Self::StartingUp => "starting_up",
            Self::ReadOnly => "read_only",
            Self::Other => "other",
        }
    }

    /// Whether other addresses would say the same: the server, or our own settings, have decided. As in libpq, the remaining
    /// hosts are not asked then.
    pub(crate) fn is_verdict(self) -> bool {
        matches!(self, Self::Authentication | Self::NoDatabase | Self::Tls | Self::Configuration | Self::TooManyConnections)
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Refused => "check that PostgreSQL runs and listens there, and the settings host and port",
            Self::Authentication => {
                "check the settings user and password, and the server's pg_hba.conf, which says who may connect from where"
            }
            Self::NoDatabase => "create the database, or correct the setting dbname",
            Self::NotPostgres => "check the settings host and port: they lead to something other than PostgreSQL",
            Self::Tls => "check the settings sslmode and sslrootcert, and the server's certificate",
            Self::Configuration => "correct the setting",
            Self::TooManyConnections => {
                "let other clients disconnect, make their connection pools smaller, or raise the server's max_connections"
            }
            Self::Timeout => "check the network, the firewall and the server's load, or raise connect_timeout",
            Self::StartingUp => "wait until the server has started",
            Self::ReadOnly => "wait until it takes writes, name a server that does in host, or turn default_transaction_read_only off",
            Self::Other => "see the server's log",
        }
    }
}

/// The reason's name in events, in snake case.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    pub(crate) hint: String,
    /// Whether TLS instead of plain, or plain instead of TLS, may fare better.
    pub(crate) concerns_encryption: bool,
}

impl Failure {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), hint: reason.hint().to_owned(), concerns_encryption: reason == Reason::Tls }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// No connection came about at all.
    pub(crate) fn of_dialling(error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::InvalidInput => Reason::Configuration,
            io::ErrorKind::TimedOut => Reason::Timeout,
            io::ErrorKind::Other => Reason::Other,
            _ => Reason::Refused,
        };
        Self::new(reason, error.to_string())
    }

    /// The conversation broke before PostgreSQL's protocol had begun.
    pub(crate) fn of_conversation(error: &io::Error) -> Self {
        if let Some(foreign) = find::<ForeignAnswer>(error) {
            return Self::new(Reason::NotPostgres, foreign.to_string());
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return Self::of_tls(tls);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::new(Reason::Other, "the server closed the connection during the greeting")
                .with_hint("see the server's log; if there is nothing, check that it is PostgreSQL that listens there"),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::new(Reason::NotPostgres, format!("the answer is not PostgreSQL's: {error}"))
            }
            _ => Self::new(Reason::Other, format!("the connection broke during the greeting: {error}")),
        }
    }

    /// tokio-postgres could not start the session.
    pub(crate) fn of_startup(error: &tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return Self::of_server(db);
        }
        if let Some(io) = find::<io::Error>(error) {
            return Self::of_conversation(io);
        }
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        // tokio-postgres tells these apart by its words alone.
        match error.to_string().as_str() {
            "invalid configuration" if cause == "password missing" => {
                Self::new(Reason::Authentication, "the server asks for a password and none is given")
                    .with_hint("give the setting password, or put one into the password file")
            }
            "authentication error" => Self::new(Reason::Authentication, cause),
            "connection closed" => Self::of_conversation(&io::ErrorKind::UnexpectedEof.into()),
            "unexpected message from server" | "error parsing response from server" => {
                Self::new(Reason::NotPostgres, "the answer does not follow PostgreSQL's protocol")
            }
            text => Self::new(Reason::Other, format!("{text}: {cause}")),
        }
    }

    /// The session began, but could not be set up as asked.
    pub(crate) fn of_session(error: &tokio_postgres::Error) -> Self {
        let failure = Self::of_startup(error);
        match failure.reason {
            Reason::Other | Reason::Authentication if error.as_db_error().is_some() => {
                Self::new(Reason::Configuration, format!("the session cannot be set up: {}", failure.message))
                    .with_hint("correct the settings variables, schema_search_path or the time zone")
            }
            _ => failure,
        }
    }

    fn of_server(error: &DbError) -> Self {
        let code = error.code();
        let message = format!("{} (SQLSTATE {})", clipped(error.message()), code.code());
        let reason = match code.code() {
            "3D000" => Reason::NoDatabase,
            "42501" => Reason::Authentication,
            "53300" => Reason::TooManyConnections,
            "57P01" | "57P02" | "57P03" => Reason::StartingUp,
            other if other.starts_with("28") => Reason::Authentication,
            _ => Reason::Other,
        };
        // 28000 is what pg_hba.conf's rules answer, and rules can ask for or against TLS.
        let concerns_encryption = *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION;
        Self { concerns_encryption, ..Self::new(reason, message) }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        use rustls::CertificateError as Certificate;
        let hint = match error {
            rustls::Error::InvalidMessage(_) => {
                return Self::new(Reason::NotPostgres, format!("the answer is not TLS: {error}"));
            }
            rustls::Error::InvalidCertificate(Certificate::UnknownIssuer) => {
                "the certificate was issued by an authority that sslrootcert does not hold: put that authority's certificate there"
            }
            rustls::Error::InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => {
                "connect by a host name that the certificate holds, or use sslmode=verify-ca, which does not look at it"
            }
            rustls::Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
                "renew the server's certificate, and check this machine's clock"
            }
            rustls::Error::InvalidCertificate(Certificate::Other(_)) => {
                "the server's certificate cannot be checked: it must be of X.509 version 3, and not itself an authority's"
            }
            rustls::Error::AlertReceived(_) => {
                "the server broke off the TLS handshake: check sslcert and sslkey, which it may ask for, and the TLS versions"
            }
            _ => Reason::Tls.hint(),
        };
        Self::new(Reason::Tls, format!("TLS failed: {error}")).with_hint(hint)
    }
}

impl From<ConnInfoError> for Failure {
    fn from(error: ConnInfoError) -> Self {
        Self::new(Reason::Configuration, error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

fn clipped(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
