//! Where and how to connect: libpq's settings, by our own reading.
//!
//! tokio-postgres has a reading of its own, but it refuses settings that Rails applications use (`sslmode=verify-full`,
//! `sslrootcert`, `keepalives_count`) and takes `tcp_user_timeout` for seconds where libpq means milliseconds.
//! Nothing here opens a file or a socket, or reads a PG* variable: the caller passes the resolved settings. Password and
//! certificate files are read when the connection is made, so that a rotated secret needs no restart.

mod hosts;
mod keywords;
mod text;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::ChannelBinding;

pub use hosts::{Endpoint, Host};
pub use values::{Secret, SslMode, SslNegotiation, TargetSession, TlsVersion};

/// How long one attempt to connect may take where `connect_timeout` says nothing (libpq would wait for ever).
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

const KEEPALIVE_IDLE_DEFAULT: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
const KEEPALIVE_COUNT_DEFAULT: u32 = 6;

/// How long sent bytes may go unacknowledged where `tcp_user_timeout` says nothing (the kernel would repeat them for 15 minutes, less
/// and less often). A network that is cut is then noticed within seconds, and once it is back nobody waits for a repetition.
const USER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// A setting that cannot be used, in a sentence that names it and says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnInfoError(String);

impl ConnInfoError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for ConnInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConnInfoError {}

/// The resolved settings of one connection. Its `Debug` shows no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnInfo {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) dbname: String,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) passfile: Option<PathBuf>,
    pub(crate) options: Option<String>,
    pub(crate) application_name: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) target: TargetSession,
    pub(crate) is_load_balanced: bool,
    pub(crate) tcp: TcpSettings,
    pub(crate) tls: TlsSettings,
}

/// The options of a TCP socket. `None` leaves the operating system's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TcpSettings {
    pub(crate) keepalives: bool,
    pub(crate) keepalives_idle: Option<Duration>,
    pub(crate) keepalives_interval: Option<Duration>,
    pub(crate) keepalives_count: Option<u32>,
    pub(crate) user_timeout: Option<Duration>,
}

/// What TLS must prove and which files it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    pub(crate) mode: SslMode,
    pub(crate) negotiation: SslNegotiation,
    pub(crate) roots: Roots,
    pub(crate) certificate: OptionalFile,
    pub(crate) key: Option<PathBuf>,
    pub(crate) crl: OptionalFile,
    pub(crate) crl_directory: Option<PathBuf>,
    pub(crate) sni: bool,
    pub(crate) version_min: TlsVersion,
    pub(crate) version_max: TlsVersion,
}

/// The authorities that may vouch for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Those that the operating system trusts.
    System,
    /// Those in this file; required to exist only where the mode verifies.
    File(PathBuf),
    /// No file is named and there is no home directory to look for one.
    None,
}

/// A file that TLS may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OptionalFile {
    /// Named, so it must be there.
    Given(PathBuf),
    /// libpq's default place: used if it is there.
    Default(PathBuf),
    /// Not to be used.
    None,
}

impl OptionalFile {
    fn new(given: Option<PathBuf>, default: Option<PathBuf>) -> Self {
        match (given, default) {
            (Some(path), _) => Self::Given(path),
            (None, Some(path)) => Self::Default(path),
            (None, None) => Self::None,
        }
    }

    /// The file to read; a default one only if it exists.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Given(path) => Some(path),
            Self::Default(path) => Some(path.as_path()).filter(|path| path.exists()),
            Self::None => None,
        }
    }
}

/// What libpq looks up about the process and the machine.
#[derive(Debug, Clone)]
struct Surroundings {
    home: Option<PathBuf>,
    user: Option<String>,
    socket_directory: PathBuf,
}

impl Surroundings {
    fn of_this_process() -> Self {
        let debian = Path::new("/var/run/postgresql");
        Self {
            home: std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from),
            user: whoami::username().ok(),
            socket_directory: if debian.exists() { debian.to_owned() } else { PathBuf::from("/tmp") },
        }
    }

    fn in_postgresql_directory(&self, name: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(".postgresql").join(name))
    }
}

impl ConnInfo {
    /// Reads settings by libpq's keywords. An empty value counts as not given, as in libpq; a later one wins.
    pub fn from_settings(settings: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConnInfoError> {
        Self::read(settings, &Surroundings::of_this_process())
    }

    /// Reads a connection string in either of libpq's forms.
    pub fn parse(text: &str) -> Result<Self, ConnInfoError> {
        Self::from_settings(text::split(text)?)
    }

    fn read(settings: impl IntoIterator<Item = (String, String)>, surroundings: &Surroundings) -> Result<Self, ConnInfoError> {
        let mut settings = Settings::checked(settings)?;
        settings.expand_dbname()?;
        settings.check_client_encoding()?;

        let user = settings.text("user").or_else(|| surroundings.user.clone());
        let user = user.ok_or_else(|| ConnInfoError::new("no user is given, and this process' own has no name"))?;
        Ok(Self {
            endpoints: hosts::endpoints(
                settings.get("host"),
                settings.get("hostaddr"),
                settings.get("port"),
                &surroundings.socket_directory,
            )?,
            dbname: settings.text("dbname").unwrap_or_else(|| user.clone()),
            user,
            password: settings.text("password").map(Secret::new),
            passfile: settings.path("passfile").or_else(|| surroundings.home.as_ref().map(|home| home.join(".pgpass"))),
            options: settings.text("options"),
            application_name: settings.text("application_name").or_else(|| settings.text("fallback_application_name")),
            connect_timeout: settings.seconds("connect_timeout")?.unwrap_or(CONNECT_TIMEOUT_DEFAULT),
            channel_binding: settings.choice("channel_binding", values::CHANNEL_BINDINGS, ChannelBinding::Prefer)?,
            target: settings.choice("target_session_attrs", values::TARGET_SESSIONS, TargetSession::Any)?,
            is_load_balanced: settings.choice("load_balance_hosts", values::LOAD_BALANCING, false)?,
            tcp: settings.tcp()?,
            tls: settings.tls(surroundings)?,
        })
    }
}

/// Names the servers and the database, never the password.
impl fmt::Display for ConnInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            write!(f, "{}{endpoint}", if index == 0 { "" } else { ", " })?;
        }
        write!(f, ", database {:?}, user {:?}", self.dbname, self.user)
    }
}

/// Settings whose keywords are known, without those that are ignored.
struct Settings(BTreeMap<String, String>);

impl Settings {
    fn checked(settings: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConnInfoError> {
        let mut known = BTreeMap::new();
        for (keyword, value) in settings {
            if value.contains('\0') {
                return Err(ConnInfoError::new(format!("{keyword} contains a NUL byte, which PostgreSQL cannot take")));
            }
            if keywords::is_read(&keyword, &value)? {
                known.insert(keyword, value);
            }
        }
        Ok(Self(known))
    }

    /// Like libpq, takes a `dbname` that is itself a connection string for the settings it holds.
    fn expand_dbname(&mut self) -> Result<(), ConnInfoError> {
        if text::is_connection_string(self.get("dbname")) {
            let inner = Self::checked(text::split(&self.0.remove("dbname").unwrap_or_default())?)?;
            self.0.extend(inner.0);
        }
        Ok(())
    }

    /// The protocol's text is UTF-8 here whatever is asked for, so anything else is a misunderstanding.
    fn check_client_encoding(&self) -> Result<(), ConnInfoError> {
        let encoding = self.get("client_encoding");
        let plain: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
        match plain.to_ascii_lowercase().as_str() {
            "" | "auto" | "utf8" | "unicode" => Ok(()),
            _ => Err(values::bad("client_encoding", encoding, "the connection speaks UTF8; allowed are UTF8 and auto")),
        }
    }

    /// The value, or "" where it is not given.
    fn get(&self, keyword: &str) -> &str {
        self.0.get(keyword).map_or("", String::as_str)
    }

    fn given(&self, keyword: &str) -> Option<&str> {
        Some(self.get(keyword)).filter(|value| !value.is_empty())
    }

    fn text(&self, keyword: &str) -> Option<String> {
        self.given(keyword).map(str::to_owned)
    }

    fn path(&self, keyword: &str) -> Option<PathBuf> {
        self.given(keyword).map(PathBuf::from)
    }

    fn seconds(&self, keyword: &str) -> Result<Option<Duration>, ConnInfoError> {
        self.given(keyword).map_or(Ok(None), |value| values::seconds(keyword, value))
    }

    fn switch(&self, keyword: &str) -> Result<bool, ConnInfoError> {
        self.given(keyword).map_or(Ok(true), |value| values::switch(keyword, value))
    }

    fn choice<T: Copy>(&self, keyword: &str, table: &[(&str, T)], default: T) -> Result<T, ConnInfoError> {
        self.given(keyword).map_or(Ok(default), |value| values::one_of(keyword, value, table))
    }

    fn tcp(&self) -> Result<TcpSettings, ConnInfoError> {
        let ours = |keyword, default| match self.given(keyword) {
            Some(value) => values::seconds(keyword, value),
            None => Ok(Some(default)),
        };
        let count = match self.given("keepalives_count") {
            Some(value) => u32::try_from(values::integer("keepalives_count", value)?).ok().filter(|count| *count > 0),
            None => Some(KEEPALIVE_COUNT_DEFAULT),
        };
        Ok(TcpSettings {
            keepalives: match self.given("keepalives") {
                Some(value) => values::integer("keepalives", value)? != 0,
                None => true,
            },
            keepalives_idle: ours("keepalives_idle", KEEPALIVE_IDLE_DEFAULT)?,
            keepalives_interval: ours("keepalives_interval", KEEPALIVE_INTERVAL_DEFAULT)?,
            keepalives_count: count,
            user_timeout: match self.given("tcp_user_timeout") {
                Some(value) => values::milliseconds("tcp_user_timeout", value)?,
                None => Some(USER_TIMEOUT_DEFAULT),
            },
        })
    }

    fn tls(&self, surroundings: &Surroundings) -> Result<TlsSettings, ConnInfoError> {
        let roots = self.roots(surroundings);
        let tls = TlsSettings {
            mode: self.ssl_mode(&roots)?,
            negotiation: self.choice("sslnegotiation", values::SSL_NEGOTIATIONS, SslNegotiation::Postgres)?,
            roots,
            certificate: self.certificate(surroundings)?,
            key: self.path("sslkey").or_else(|| surroundings.in_postgresql_directory("postgresql.key")),
            crl: self.crl(surroundings),
            crl_directory: self.path("sslcrldir"),
            sni: self.switch("sslsni")?,
            version_min: self.choice("ssl_min_protocol_version", values::TLS_VERSIONS, TlsVersion::Tls12)?,
            version_max: self.choice("ssl_max_protocol_version", values::TLS_VERSIONS, TlsVersion::Tls13)?,
        };
        tls.check()?;
        Ok(tls)
    }

    fn roots(&self, surroundings: &Surroundings) -> Roots {
        let default = || surroundings.in_postgresql_directory("root.crt");
        match self.given("sslrootcert") {
            Some("system") => Roots::System,
            _ => self.path("sslrootcert").or_else(default).map_or(Roots::None, Roots::File),
        }
    }

    /// With the system's authorities libpq insists on verify-full, and so do we: anyone can get a certificate from one of
    /// them. `prefer` may only be libpq's own default shining through, so it is raised rather than refused.
    fn ssl_mode(&self, roots: &Roots) -> Result<SslMode, ConnInfoError> {
        match self.choice("sslmode", values::SSL_MODES, SslMode::Prefer)? {
            SslMode::Prefer if *roots == Roots::System => Ok(SslMode::VerifyFull),
            weak if *roots == Roots::System && weak != SslMode::VerifyFull => {
                Err(values::bad("sslmode", &weak.to_string(), "sslrootcert=system allows sslmode=verify-full only"))
            }
            mode => Ok(mode),
        }
    }

    fn certificate(&self, surroundings: &Surroundings) -> Result<OptionalFile, ConnInfoError> {
        if !self.choice("sslcertmode", values::SSL_CERT_MODES, true)? {
            return Ok(OptionalFile::None);
        }
        Ok(OptionalFile::new(self.path("sslcert"), surroundings.in_postgresql_directory("postgresql.crt")))
    }

    fn crl(&self, surroundings: &Surroundings) -> OptionalFile {
        let default = surroundings.in_postgresql_directory("root.crl").filter(|_| self.get("sslcrldir").is_empty());
        OptionalFile::new(self.path("sslcrl"), default)
    }
}

impl TlsSettings {
    fn check(&self) -> Result<(), ConnInfoError> {
        let is_weak = matches!(self.mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer);
        if self.negotiation == SslNegotiation::Direct && is_weak {
            return Err(ConnInfoError::new(format!(
                "sslnegotiation=direct cannot be used with sslmode={}: use sslmode=require or stricter",
                self.mode
            )));
        }
        if self.version_max == TlsVersion::Older {
            return Err(ConnInfoError::new("ssl_max_protocol_version is too low: TLSv1.2 and TLSv1.3 are spoken"));
        }
        if self.version_min > self.version_max {
            return Err(ConnInfoError::new("ssl_min_protocol_version is higher than ssl_max_protocol_version"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
