//! Every keyword that libpq knows, and what becomes of it here.
//!
//! A setting that we do not act on is accepted only where ignoring it changes nothing that the user relies on; where it
//! would weaken what was asked for, the connection is refused with the reason.

use super::ConnInfoError;

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Read,
    Ignored,
    /// Only these values mean "nothing is asked for".
    Refused {
        harmless: &'static [&'static str],
        because: &'static str,
    },
}

/// Checks one setting; true if it is to be read, false if it is to be dropped.
pub(super) fn is_read(keyword: &str, value: &str) -> Result<bool, ConnInfoError> {
    match rule(keyword) {
        None => Err(ConnInfoError::new(format!("unknown connection setting {keyword:?}: no PostgreSQL client knows it"))),
        Some(Rule::Read) => Ok(true),
        Some(Rule::Ignored) => Ok(false),
        Some(Rule::Refused { harmless, .. }) if value.is_empty() || harmless.contains(&value) => Ok(false),
        Some(Rule::Refused { because, .. }) => Err(ConnInfoError::new(format!("{keyword}={value:?} is not supported: {because}"))),
    }
}

/// Whether any PostgreSQL client knows it.
pub(super) fn is_known(keyword: &str) -> bool {
    keyword == "ssl" || rule(keyword).is_some()
}

fn rule(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "host"
        | "hostaddr"
        | "port"
        | "dbname"
        | "user"
        | "password"
        | "passfile"
        | "connect_timeout"
        | "client_encoding"
        | "options"
        | "application_name"
        | "fallback_application_name"
        | "keepalives"
        | "keepalives_idle"
        | "keepalives_interval"
        | "keepalives_count"
        | "tcp_user_timeout"
        | "sslmode"
        | "sslrootcert"
        | "sslcert"
        | "sslkey"
        | "sslcrl"
        | "sslcrldir"
        | "sslcertmode"
        | "sslnegotiation"
        | "ssl_min_protocol_version"
        | "ssl_max_protocol_version"
        | "sslsni"
        | "channel_binding"
        | "target_session_attrs"
        | "load_balance_hosts" => Rule::Read,

        // Compression, GSSAPI, OAuth and client keys for SCRAM: ways to log in that we do not offer, so a server that insists on
        // one answers with an authentication error. An encrypted sslkey is refused where it is read.
        "sslcompression"
        | "sslpassword"
        | "sslkeylogfile"
        | "krbsrvname"
        | "gsslib"
        | "gssdelegation"
        | "oauth_issuer"
        | "oauth_client_id"
        | "oauth_client_secret"
        | "oauth_scope"
        | "scram_client_key"
        | "scram_server_key"
        | "max_protocol_version"
        | "servicefile"
        | "authtype"
        | "tty" => Rule::Ignored,

        _ => return refused(keyword),
    })
}

fn refused(keyword: &str) -> Option<Rule> {
    let (harmless, because): (&'static [&'static str], _) = match keyword {
        "gssencmode" => (&["disable", "prefer"], "connections are encrypted by TLS only; use sslmode=verify-full, or gssencmode=prefer"),
        "service" => (&[], "service files are not read; set PGSERVICE in the environment, or write the service's settings out"),
        "requirepeer" => (&[], "the owner of the server's socket cannot be checked; protect the socket's directory instead"),
        "require_auth" => (&[], "the way of authentication cannot be restricted; use sslmode=verify-full, or channel_binding=require"),
        "replication" => (&["false", "off", "no", "0"], "a job queue needs an ordinary session; leave it out"),
        "min_protocol_version" => (&["3.0"], "version 3.0 of the protocol is spoken; leave it out"),
        _ => return None,
    };
    Some(Rule::Refused { harmless, because })
}
