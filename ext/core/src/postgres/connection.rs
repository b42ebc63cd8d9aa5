//! Connecting: the servers in turn, TLS as asked for, the right kind of server, a session set up.
//!
//! tokio-postgres speaks the protocol, on a stream of ours: only so are its descriptors known to the fork handler, and only
//! so can libpq's settings mean what they mean in libpq.

use std::net::SocketAddr;
use std::time::Duration;

use rand::seq::SliceRandom;
use tokio::time::{timeout, timeout_at, Instant};
use tokio_postgres::{Client, Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use super::connect_error::ConnectError;
pub use super::driver::Driver;
pub use super::failure::Reason;
pub use super::session::Session;
pub use super::sqlstate::{is_connection_lost, is_transient};

use super::connect_error::Failures;
use super::conninfo::{ConnInfo, Endpoint, SslMode, TargetSession};
use super::encryption::{steps, Encryption, Step};
use super::failure::Failure;
use super::passfile::{self, Key};
use super::tls;
use super::wire::{Address, Wire};
use crate::job::Moment;

/// How many addresses of one host name are tried.
const ADDRESSES_MAX: usize = 16;

/// A session, ready to be used.
pub struct Connected {
    /// Sends statements.
    pub client: Client,
    /// Does the input and output: must be polled for as long as the client is used.
    pub connection: Driver,
    /// What the server said of itself.
    pub server: Server,
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connected").finish_non_exhaustive()
    }
}

/// Connects to the first server that will do and sets the session up, with `statements` at the end.
///
/// Each address has `connect_timeout` for everything from the TCP handshake to the last SET. Like libpq, it stops at a server
/// that turns us down, and goes on to the next where one cannot be reached or is not ready.
pub async fn connect(conninfo: &ConnInfo, session: &Session, statements: &str) -> Result<Connected, ConnectError> {
    let mut failures = Failures::new(conninfo);
    let plan = match Plan::new(conninfo, session, statements) {
        Ok(plan) => plan,
        Err(failure) => {
            failures.push("", failure);
            return Err(failures.into_error());
        }
    };
    for target in passes(conninfo.target) {
        failures.clear();
        if let Some(connected) = plan.try_servers(*target, &mut failures).await {
            return Ok(connected);
        }
    }
    Err(failures.into_error())
}

/// `prefer-standby` goes through the servers twice.
fn passes(target: TargetSession) -> &'static [TargetSession] {
    match target {
        TargetSession::Any => &[TargetSession::Any],
        TargetSession::ReadWrite => &[TargetSession::ReadWrite],
        TargetSession::ReadOnly => &[TargetSession::ReadOnly],
        TargetSession::Primary => &[TargetSession::Primary],
        TargetSession::Standby => &[TargetSession::Standby],
        TargetSession::PreferStandby => &[TargetSession::Standby, TargetSession::Any],
    }
}

/// Everything that can be decided before the first byte is sent.
struct Plan<'a> {
    conninfo: &'a ConnInfo,
    session: &'a Session,
    statements: String,
    tls: Option<MakeRustlsConnect>,
}

impl<'a> Plan<'a> {
    fn new(conninfo: &'a ConnInfo, session: &'a Session, statements: &str) -> Result<Self, Failure> {
        let uses_tls = conninfo.tls.mode != SslMode::Disable && conninfo.endpoints.iter().any(is_tcp);
        let tls = if uses_tls { Some(tls::connector(&conninfo.tls)?) } else { None };
        let statements = format!("{}; {statements}", session.statements()?);
        Ok(Self { conninfo, session, statements, tls })
    }

    async fn try_servers(&self, target: TargetSession, failures: &mut Failures) -> Option<Connected> {
        for endpoint in self.endpoints_in_order() {
            let addresses = match self.addresses(endpoint).await {
                Ok(addresses) => addresses,
                Err(failure) => {
                    failures.push(endpoint.to_string(), failure);
                    continue;
                }
            };
            for address in addresses {
                match self.try_address(endpoint, &address, target, failures).await {
                    Ok(connected) => return Some(connected),
                    Err(reason) if reason.is_verdict() => return None,
                    Err(_) => {}
                }
            }
        }
        None
    }

    fn endpoints_in_order(&self) -> Vec<&'a Endpoint> {
        let mut endpoints: Vec<&Endpoint> = self.conninfo.endpoints.iter().collect();
        if self.conninfo.is_load_balanced {
            endpoints.shuffle(&mut rand::rng());
        }
        endpoints
    }

    async fn addresses(&self, endpoint: &Endpoint) -> Result<Vec<Address>, Failure> {
        if let Some(path) = endpoint.socket_path() {
            return Ok(vec![Address::Unix(path)]);
        }
        if let Some(ip) = endpoint.address {
            return Ok(vec![Address::Tcp(SocketAddr::new(ip, endpoint.port))]);
        }
        let name = endpoint.name().unwrap_or_default();
        let lookup = tokio::net::lookup_host((name, endpoint.port));
        let found = timeout(self.conninfo.connect_timeout, lookup)
            .await
            .map_err(|_| Failure::new(Reason::Timeout, format!("the name could not be resolved {}", self.within())))?;
        let found = found.map_err(|error| Failure::new(Reason::Refused, format!("the name cannot be resolved: {error}")))?;
        let mut addresses: Vec<Address> = found.take(ADDRESSES_MAX).map(Address::Tcp).collect();
        if self.conninfo.is_load_balanced {
            addresses.shuffle(&mut rand::rng());
        }
        Ok(addresses)
    }

    /// Tries one address, with and without TLS as `sslmode` has it.
    async fn try_address(
        &self,
        endpoint: &Endpoint,
        address: &Address,
        target: TargetSession,
        failures: &mut Failures,
    ) -> Result<Connected, Reason> {
        let mut reason = Reason::Other;
        for step in steps(self.conninfo.tls.mode, address) {
            match self.attempt(endpoint, address, *step, target).await {
                Ok(connected) => return Ok(connected),
                Err(failure) => {
                    reason = failure.reason;
                    let concerns_encryption = failure.concerns_encryption;
                    failures.push(place(endpoint, address), failure);
                    if !concerns_encryption {
                        break;
                    }
                }
            }
        }
        Err(reason)
    }

    async fn attempt(&self, endpoint: &Endpoint, address: &Address, step: Step, target: TargetSession) -> Result<Connected, Failure> {
        let deadline = Instant::now() + self.conninfo.connect_timeout;
        let wire = timeout_at(deadline, Wire::connect(address, &self.conninfo.tcp))
            .await
            .map_err(|_| Failure::new(Reason::Timeout, format!("nobody answered {}", self.within())))?
            .map_err(|error| Failure::of_dialling(&error))?;
        timeout_at(deadline, self.greet(wire, endpoint, step, target)).await.map_err(|_| {
            let message = format!("the connection was accepted, but the greeting was not complete {}", self.within());
            Failure::new(Reason::Timeout, message)
                .with_hint("check that it is PostgreSQL that listens there, and its load; raise connect_timeout if it is only slow")
        })?
    }

    async fn greet(&self, wire: Wire, endpoint: &Endpoint, step: Step, target: TargetSession) -> Result<Connected, Failure> {
        let (wire, encryption) = Encryption::negotiate(wire, step, endpoint, &self.conninfo.tls, self.tls.as_ref()).await?;
        let (config, passfile_problem) = self.config(endpoint, &encryption);
        let (client, connection) = config.connect_raw(wire, encryption).await.map_err(|error| {
            let failure = Failure::of_startup(&error);
            match passfile_problem {
                Some(problem) if failure.reason == Reason::Authentication => failure.with_hint(problem),
                _ => failure,
            }
        })?;
        let mut connected = Connected { client, connection: Driver::new(connection), server: Server::default() };
        connected.check_target(target).await?;
        connected.server = connected.set_up(&self.statements).await.map_err(|error| Failure::of_session(&error))?;
        match connected.server.refuses_writes() {
            Some(why) if self.session.writes => Err(Failure::new(Reason::ReadOnly, why)),
            _ => Ok(connected),
        }
    }

    /// The settings as tokio-postgres takes them, and why a password file was not used, if so.
    fn config(&self, endpoint: &Endpoint, encryption: &Encryption) -> (Config, Option<String>) {
        let mut config = Config::new();
        config.user(&self.conninfo.user).dbname(&self.conninfo.dbname).channel_binding(self.conninfo.channel_binding);
        encryption.apply_to(&mut config);
        if let Some(options) = &self.conninfo.options {
            config.options(options);
        }
        let own_name = Some(&self.session.application_name).filter(|name| !name.is_empty());
        if let Some(name) = own_name.or(self.conninfo.application_name.as_ref()) {
            config.application_name(name);
        }
        match self.password(endpoint) {
            Ok(Some(password)) => {
                config.password(password);
                (config, None)
            }
            Ok(None) => (config, None),
            Err(ignored) => (config, Some(ignored.to_string())),
        }
    }

    fn password(&self, endpoint: &Endpoint) -> Result<Option<String>, passfile::Ignored> {
        if let Some(password) = &self.conninfo.password {
            return Ok(Some(password.reveal().to_owned()));
        }
        let Some(path) = &self.conninfo.passfile else { return Ok(None) };
        let key = Key {
            host: &endpoint.passfile_name(),
            port: &endpoint.port.to_string(),
            dbname: &self.conninfo.dbname,
            user: &self.conninfo.user,
        };
        passfile::look_up(path, key)
    }

    fn within(&self) -> String {
        format!("within {} s", self.conninfo.connect_timeout.as_secs())
    }
}

impl Connected {
    /// Sets the session up and asks, in the same round trip, what to expect of the server.
    async fn set_up(&mut self, statements: &str) -> Result<Server, tokio_postgres::Error> {
        let all = format!("{statements}; {SERVER}");
        let answer = self.connection.drive(self.client.simple_query(&all)).await?;
        Ok(answer.iter().rev().find_map(Server::from_message).unwrap_or_default())
    }

    async fn check_target(&mut self, target: TargetSession) -> Result<(), Failure> {
        if target == TargetSession::Any {
            return Ok(());
        }
        let query = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";
        let answer = self.connection.drive(self.client.simple_query(query)).await;
        let answer = answer.map_err(|error| Failure::of_startup(&error))?;
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0) == Some("t"), row.get(1) == Some("on"))),
            _ => None,
        });
        let (is_standby, is_read_only) = row.unwrap_or_default();
        match unsuitable(target, is_standby, is_read_only) {
            None => Ok(()),
            Some(why) => {
                Err(Failure::new(Reason::Other, why).with_hint("name a server of the wanted kind in host, or change target_session_attrs"))
            }
        }
    }
}

/// What to ask a server of itself. The default for transactions, not the present one's, which began before the session was set up.
const SERVER: &str = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only'), \
                             (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::int8, \
                             (extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_postmaster_start_time()) * 1000000)::int8";

/// A server, at the moment at which a session with it was set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Server {
    is_standby: bool,
    is_read_only: bool,
    /// Its clock.
    pub clock: Moment,
    /// How long it has been up.
    pub age: Duration,
}

impl Server {
    fn from_message(message: &SimpleQueryMessage) -> Option<Self> {
        let SimpleQueryMessage::Row(row) = message else { return None };
        let micros = |column: usize| row.get(column).and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
        Some(Self {
            is_standby: row.get(0) == Some("t"),
            is_read_only: row.get(1) == Some("on"),
            clock: Moment(micros(2)),
            age: Duration::from_micros(u64::try_from(micros(3)).unwrap_or(0)),
        })
    }

    fn refuses_writes(&self) -> Option<&'static str> {
        match self {
            Self { is_standby: true, .. } => Some("the server is a standby, which takes no writes"),
            Self { is_read_only: true, .. } => Some("the server is read-only (default_transaction_read_only is on)"),
            _ => None,
        }
    }
}

fn unsuitable(target: TargetSession, is_standby: bool, is_read_only: bool) -> Option<&'static str> {
    match target {
        TargetSession::ReadWrite if is_read_only => Some("the server is read-only, and target_session_attrs=read-write"),
        TargetSession::ReadOnly if !is_read_only => Some("the server is not read-only, and target_session_attrs=read-only"),
        TargetSession::Primary if is_standby => Some("the server is a standby, and target_session_attrs=primary"),
        TargetSession::Standby if !is_standby => Some("the server is not a standby, and target_session_attrs=standby"),
        _ => None,
    }
}

fn is_tcp(endpoint: &Endpoint) -> bool {
    endpoint.socket_path().is_none()
}

fn place(endpoint: &Endpoint, address: &Address) -> String {
    match (address, endpoint.name()) {
        (Address::Tcp(address), Some(name)) if name != address.ip().to_string() => {
            format!("{name} ({}) port {}", address.ip(), address.port())
        }
        _ => endpoint.to_string(),
    }
}
