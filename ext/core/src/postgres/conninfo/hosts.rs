//! The list of servers to try: `host`, `hostaddr` and `port`, each perhaps a comma list.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::values::bad;
use super::ConnInfoError;

pub(super) const PORT_DEFAULT: u16 = 5432;

/// How many servers one connection may name.
pub(super) const HOSTS_MAX: usize = 64;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or address to resolve and connect to by TCP.
    Name(String),
    /// The directory of a Unix-domain socket; one that begins with `@` is in Linux' abstract namespace.
    Directory(PathBuf),
}

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) host: Option<Host>,
    /// The address to use instead of resolving the name.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    /// Whether the socket's directory is the built-in default, which password files call localhost.
    pub(crate) is_default_directory: bool,
}

impl Endpoint {
    /// The name that the server's certificate must carry, where one was given.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.host {
            Some(Host::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// The Unix-domain socket to connect to, unless the server is reached by TCP.
    pub(crate) fn socket_path(&self) -> Option<PathBuf> {
        match (&self.host, self.address) {
            (Some(Host::Directory(directory)), None) => Some(directory.join(format!(".s.PGSQL.{}", self.port))),
            _ => None,
        }
    }

    /// What a password file calls this server.
    pub(crate) fn passfile_name(&self) -> String {
        match (&self.host, self.address) {
            (Some(Host::Directory(_)), _) if self.is_default_directory => "localhost".to_owned(),
            (Some(Host::Directory(directory)), _) => directory.to_string_lossy().into_owned(),
            (Some(Host::Name(name)), _) => name.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "localhost".to_owned(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.socket_path(), self.name(), self.address) {
            (Some(path), _, _) => write!(f, "{}", path.display()),
            (None, Some(name), Some(address)) => write!(f, "{name} ({address}) port {}", self.port),
            (None, Some(name), None) => write!(f, "{name} port {}", self.port),
            (None, None, address) => write!(f, "{} port {}", address.map_or_else(String::new, |a| a.to_string()), self.port),
        }
    }
}

/// Pairs the three lists up as libpq does.
pub(super) fn endpoints(host: &str, hostaddr: &str, port: &str, default_directory: &Path) -> Result<Vec<Endpoint>, ConnInfoError> {
    let hosts = list(host);
    let addresses = list(hostaddr);
    let ports = list(port);
    let count = hosts.len().max(addresses.len()).max(1);
    check_counts(&hosts, &addresses, &ports, count)?;

    (0..count)
        .map(|index| {
            let port = ports.get(index).or(ports.first().filter(|_| ports.len() == 1));
            endpoint(
                hosts.get(index).copied().unwrap_or(""),
                addresses.get(index).copied().unwrap_or(""),
                port.copied().unwrap_or(""),
                default_directory,
            )
        })
        .collect()
}

fn list(value: &str) -> Vec<&str> {
    if value.is_empty() {
        return Vec::new();
    }
    value.split(',').map(str::trim).collect()
}

fn check_counts(hosts: &[&str], addresses: &[&str], ports: &[&str], count: usize) -> Result<(), ConnInfoError> {
    if count > HOSTS_MAX {
        return Err(ConnInfoError::new(format!("host lists {count} servers; {HOSTS_MAX} is the limit")));
    }
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(ConnInfoError::new(format!(
            "host lists {} and hostaddr {}; give one address for each host",
            hosts.len(),
            addresses.len()
        )));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(ConnInfoError::new(format!(
            "port lists {} ports for {count} hosts; give one port for all, or one for each host",
            ports.len()
        )));
    }
    Ok(())
}

fn endpoint(host: &str, hostaddr: &str, port: &str, default_directory: &Path) -> Result<Endpoint, ConnInfoError> {
    let address = match hostaddr {
        "" => None,
        text => Some(text.parse().map_err(|_| bad("hostaddr", text, "an IPv4 or IPv6 address is expected"))?),
    };
    let is_default_directory = host.is_empty() && address.is_none();
    let host = match host {
        "" if address.is_some() => None,
        "" => Some(Host::Directory(default_directory.to_owned())),
        path if path.starts_with(['/', '@']) => Some(Host::Directory(PathBuf::from(path))),
        name => Some(Host::Name(name.to_owned())),
    };
    let is_default_directory = is_default_directory || host == Some(Host::Directory(default_directory.to_owned()));
    Ok(Endpoint { host, address, port: port_number(port)?, is_default_directory })
}

fn port_number(text: &str) -> Result<u16, ConnInfoError> {
    match text {
        "" => Ok(PORT_DEFAULT),
        text => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| bad("port", text, "a number from 1 to 65535 is expected")),
    }
}
