//! Postgres, from settings to sessions.

pub mod backoff;
pub mod connection;
pub mod conninfo;
pub mod sockets;
pub mod sql;

mod connect_error;
mod driver;
mod encryption;
mod failure;
pub(crate) mod link;
mod passfile;
mod session;
mod sqlstate;
pub(crate) mod store;
mod tls;
mod values;
mod wire;
