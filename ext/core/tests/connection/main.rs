//! Connecting to real servers: who is found, who is let in, how strongly it is encrypted, how the session is set up, and
//! what is said when it does not work.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod encryption;
mod errors;
mod passwords;
mod servers;
mod sessions;

use good_job_core::postgres::connection::{connect, ConnectError, Connected, Session};
use good_job_core::postgres::conninfo::ConnInfo;
use tokio_postgres::SimpleQueryMessage;

/// Settings by libpq's keywords. No file in the home directory of whoever runs the tests plays a part.
fn conninfo(settings: &[(&str, &str)]) -> ConnInfo {
    let none = [("passfile", "/nonexistent"), ("sslrootcert", "/nonexistent")];
    let all = none.iter().chain(settings).map(|(keyword, value)| ((*keyword).to_owned(), (*value).to_owned()));
    ConnInfo::from_settings(all).unwrap()
}

fn session() -> Session {
    Session { timezone: "UTC".to_owned(), ..Session::default() }
}

async fn try_connect(settings: &[(&str, &str)]) -> Result<Connected, ConnectError> {
    connect(&conninfo(settings), &session(), "").await
}

async fn refused(settings: &[(&str, &str)]) -> ConnectError {
    try_connect(settings).await.expect_err("a connection came about")
}

/// The first column of the first row, as text.
async fn ask(connected: &mut Connected, sql: &str) -> Option<String> {
    let rows = tokio::select! {
        rows = connected.client.simple_query(sql) => rows.unwrap(),
        end = &mut connected.connection => panic!("the connection ended: {end:?}"),
    };
    rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

async fn answer(settings: &[(&str, &str)], sql: &str) -> Option<String> {
    ask(&mut try_connect(settings).await.unwrap(), sql).await
}
