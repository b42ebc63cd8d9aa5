//! What the tests need: databases on the project's server, clusters of their own, servers that are none.

// Every test binary uses a part of it.
#![allow(dead_code, unused_imports, unreachable_pub, clippy::unwrap_used)]

mod certificates;
mod cluster;
mod database;
mod impostor;
pub mod queue;
mod scratch;

pub use certificates::Authority;
pub use cluster::{Cluster, ClusterSpec};
pub use database::Database;
pub use impostor::Impostor;
pub use scratch::Scratch;

use std::path::{Path, PathBuf};

/// Does what blocks, which the synchronous Postgres client refuses to do on a thread that runs a tokio runtime.
fn blocking<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The first column of the first row that `sql` gives, as text.
fn value(client: &mut postgres::Client, sql: &str) -> Option<String> {
    let messages = client.simple_query(sql).unwrap();
    messages.iter().find_map(|message| match message {
        postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

/// The checkout.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
