//! From plain to TLS: what each `sslmode` tries in which order, and how the server is asked.
//!
//! We ask ourselves, so that an answer other than PostgreSQL's yes or no is seen for what it is. tokio-postgres is then told
//! that TLS begins at once ("direct"), which keeps its channel binding.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_postgres::config::{SslMode as DriverSslMode, SslNegotiation as DriverSslNegotiation};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conninfo::{ConnInfoError, Endpoint, SslMode, SslNegotiation, TlsSettings};
use super::failure::{Failure, Reason};
use super::wire::{is_greeting, Address, ForeignAnswer, Wire};

type Connector = <MakeRustlsConnect as MakeTlsConnect<Wire>>::TlsConnect;
pub(crate) type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Wire>>::Stream;

/// The protocol's SSLRequest: its length, and a number that no version has.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// How long the rest of an answer that is not PostgreSQL's is waited for, to show it.
const FOREIGN_ANSWER_WAIT: Duration = Duration::from_millis(100);

/// One way to try a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Plain,
    TlsIfOffered,
    Tls,
}

/// What to try, the next only if the one before failed over encryption. A Unix-domain socket never has TLS, as in libpq.
pub(crate) fn steps(mode: SslMode, address: &Address) -> &'static [Step] {
    match (mode, address) {
        (_, Address::Unix(_)) | (SslMode::Disable, _) => &[Step::Plain],
        (SslMode::Allow, _) => &[Step::Plain, Step::Tls],
        (SslMode::Prefer, _) => &[Step::TlsIfOffered, Step::Plain],
        (SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull, _) => &[Step::Tls],
    }
}

/// What was agreed on with the server.
pub(crate) enum Encryption {
    Plain,
    Tls(Connector),
}

impl Encryption {
    pub(crate) async fn negotiate(
        mut wire: Wire,
        step: Step,
        endpoint: &Endpoint,
        settings: &TlsSettings,
        tls: Option<&MakeRustlsConnect>,
    ) -> Result<(Wire, Self), Failure> {
        let connector = match (step, tls) {
            (Step::Plain, _) | (_, None) => return Ok((wire.expecting_greeting(), Self::Plain)),
            (_, Some(tls)) => connector(tls.clone(), endpoint, settings)?,
        };
        let is_offered = match settings.negotiation {
            SslNegotiation::Direct => true,
            SslNegotiation::Postgres => ask(&mut wire).await?,
        };
        match step {
            _ if is_offered => Ok((wire, Self::Tls(connector))),
            Step::TlsIfOffered => Ok((wire.expecting_greeting(), Self::Plain)),
            _ => Err(Failure::new(Reason::Tls, format!("the server has no TLS, and sslmode={}", settings.mode))
                .with_hint("switch TLS on in the server (ssl = on), or use sslmode=prefer")),
        }
    }

    pub(crate) fn apply_to(&self, config: &mut Config) {
        match self {
            Self::Plain => config.ssl_mode(DriverSslMode::Disable),
            Self::Tls(_) => config.ssl_mode(DriverSslMode::Require).ssl_negotiation(DriverSslNegotiation::Direct),
        };
    }
}

/// The server's yes or no to TLS. Exactly one byte is read: what a man in the middle may have put after it belongs to TLS.
async fn ask(wire: &mut Wire) -> Result<bool, Failure> {
    let broken = |error: io::Error| Failure::of_conversation(&error);
    wire.write_all(&SSL_REQUEST).await.map_err(broken)?;
    let mut answer = [0];
    wire.read_exact(&mut answer).await.map_err(broken)?;
    match answer {
        [b'S'] => Ok(true),
        [b'N'] => Ok(false),
        [first] => Err(no_answer(&whole_answer(first, wire).await)),
    }
}

/// What began with this byte, as far as the rest is there already.
async fn whole_answer(first: u8, wire: &mut Wire) -> Vec<u8> {
    let mut answer = vec![0; ForeignAnswer::BYTES_MAX];
    answer[0] = first;
    let rest = timeout(FOREIGN_ANSWER_WAIT, wire.read(&mut answer[1..])).await;
    answer.truncate(1 + rest.ok().and_then(Result::ok).unwrap_or(0));
    answer
}

fn no_answer(bytes: &[u8]) -> Failure {
    if is_greeting(bytes) {
        return Failure::new(Reason::Tls, "the server answered the request for TLS with an error").with_hint("see the server's log");
    }
    Failure::new(Reason::NotPostgres, ForeignAnswer::new(bytes).to_string())
}

fn connector(mut tls: MakeRustlsConnect, endpoint: &Endpoint, settings: &TlsSettings) -> Result<Connector, Failure> {
    let name = match (endpoint.name(), endpoint.address) {
        (Some(name), _) => name.to_owned(),
        (None, _) if settings.mode == SslMode::VerifyFull => {
            return Err(ConnInfoError::new("sslmode=verify-full needs the setting host: the name to verify").into());
        }
        (None, address) => address.map(|address| address.to_string()).unwrap_or_default(),
    };
    let Ok(connector) = MakeTlsConnect::<Wire>::make_tls_connect(&mut tls, &name);
    Ok(connector)
}

impl TlsConnect<Wire> for Encryption {
    type Stream = TlsStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TlsStream>> + Send>>;

    fn connect(self, wire: Wire) -> Self::Future {
        match self {
            Self::Tls(connector) => Box::pin(TlsConnect::<Wire>::connect(connector, wire)),
            Self::Plain => Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into()))),
        }
    }
}
