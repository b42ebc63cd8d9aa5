//! The values that a setting may take, and the sentences for those it may not.

use std::fmt;
use std::time::Duration;

use super::ConnInfoError;

/// `sslmode`: how much protection the connection must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS only if the server refuses a plain connection.
    Allow,
    /// TLS if the server can, plain otherwise.
    Prefer,
    /// Always TLS, whoever the server is.
    Require,
    /// TLS with a certificate from a trusted authority.
    VerifyCa,
    /// TLS with a certificate from a trusted authority that names this host.
    VerifyFull,
}

pub(super) const SSL_MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = SSL_MODES.iter().find(|(_, mode)| mode == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// `sslnegotiation`: whether the server is asked before TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslNegotiation {
    /// An SSLRequest first, TLS after the server's yes.
    Postgres,
    /// TLS at once (PostgreSQL 17 and later).
    Direct,
}

pub(super) const SSL_NEGOTIATIONS: &[(&str, SslNegotiation)] =
    &[("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)];

/// `ssl_min_protocol_version` and `ssl_max_protocol_version`, as far as rustls speaks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.0 and 1.1: older than any that we speak, so only a lower bound.
    Older,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

pub(super) const TLS_VERSIONS: &[(&str, TlsVersion)] =
    &[("TLSv1", TlsVersion::Older), ("TLSv1.1", TlsVersion::Older), ("TLSv1.2", TlsVersion::Tls12), ("TLSv1.3", TlsVersion::Tls13)];

/// `target_session_attrs`: which kind of server will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetSession {
    /// Whichever answers first.
    Any,
    /// One whose transactions may write.
    ReadWrite,
    /// One whose transactions may not write.
    ReadOnly,
    /// One that is not in recovery.
    Primary,
    /// One that is in recovery.
    Standby,
    /// A standby if any host is one, else whichever answers.
    PreferStandby,
}

pub(super) const TARGET_SESSIONS: &[(&str, TargetSession)] = &[
    ("any", TargetSession::Any),
    ("read-write", TargetSession::ReadWrite),
    ("read-only", TargetSession::ReadOnly),
    ("primary", TargetSession::Primary),
    ("standby", TargetSession::Standby),
    ("prefer-standby", TargetSession::PreferStandby),
];

pub(super) const CHANNEL_BINDINGS: &[(&str, tokio_postgres::config::ChannelBinding)] = &[
    ("disable", tokio_postgres::config::ChannelBinding::Disable),
    ("prefer", tokio_postgres::config::ChannelBinding::Prefer),
    ("require", tokio_postgres::config::ChannelBinding::Require),
];

/// `load_balance_hosts`, as "are the hosts tried in random order".
pub(super) const LOAD_BALANCING: &[(&str, bool)] = &[("disable", false), ("random", true)];

/// `sslcertmode`, as "may the client certificate be sent".
pub(super) const SSL_CERT_MODES: &[(&str, bool)] = &[("disable", false), ("allow", true)];

/// A value that no message, log line or panic may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(value: String) -> Self {
        Self(value)
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

pub(super) fn one_of<T: Copy>(keyword: &str, value: &str, table: &[(&str, T)]) -> Result<T, ConnInfoError> {
    match table.iter().find(|(name, _)| *name == value) {
        Some((_, choice)) => Ok(*choice),
        None => {
            let allowed: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
            Err(bad(keyword, value, &format!("allowed are {}", allowed.join(", "))))
        }
    }
}

pub(super) fn integer(keyword: &str, value: &str) -> Result<i32, ConnInfoError> {
    value.trim().parse().map_err(|_| bad(keyword, value, "an integer is expected"))
}

/// libpq's 0 and 1; anything but 0 and 1 is a mistake there too.
pub(super) fn switch(keyword: &str, value: &str) -> Result<bool, ConnInfoError> {
    one_of(keyword, value.trim(), &[("1", true), ("0", false)])
}

/// A count of seconds; 0 and less mean "what the operating system does".
pub(super) fn seconds(keyword: &str, value: &str) -> Result<Option<Duration>, ConnInfoError> {
    let count = integer(keyword, value)?;
    Ok(u64::try_from(count).ok().filter(|count| *count > 0).map(Duration::from_secs))
}

/// A count of milliseconds; 0 and less mean "what the operating system does".
pub(super) fn milliseconds(keyword: &str, value: &str) -> Result<Option<Duration>, ConnInfoError> {
    let count = integer(keyword, value)?;
    Ok(u64::try_from(count).ok().filter(|count| *count > 0).map(Duration::from_millis))
}

pub(super) fn bad(keyword: &str, value: &str, expectation: &str) -> ConnInfoError {
    ConnInfoError::new(format!("{keyword}={value:?} is not valid: {expectation}"))
}
