//! What an error on a live connection means.

use good_job_core::postgres::connection::{connect, is_connection_lost, is_transient, Connected};
use good_job_core::postgres::conninfo::ConnInfo;
use tokio_postgres::Error;

use crate::session;
use crate::support::Database;

/// What the statement fails with, and what the next one on the same connection fails with, if it does.
async fn failures(database: &Database, sql: &str) -> (Error, Option<Error>) {
    let Connected { client, connection, .. } = connect(&ConnInfo::parse(&database.url()).unwrap(), &session(), "").await.unwrap();
    let driver = tokio::spawn(connection);
    let first = client.batch_execute(sql).await.unwrap_err();
    let second = client.batch_execute("SELECT 1").await.err();
    drop(client);
    let _ = driver.await;
    (first, second)
}

#[tokio::test]
async fn a_session_that_the_server_ends_is_lost() {
    let database = Database::create_empty();
    let (first, second) = failures(&database, "SELECT pg_terminate_backend(pg_backend_pid())").await;
    assert!(is_connection_lost(&first) && is_transient(&first), "{first:?}");
    let second = second.expect("the session is gone");
    assert!(is_connection_lost(&second) && is_transient(&second), "{second:?}");
}

#[tokio::test]
async fn a_statement_that_fails_leaves_the_session() {
    let database = Database::create_empty();
    for (sql, transient) in [
        ("SELECT 1 / 0", false),
        ("SELECT * FROM missing", false),
        ("SET statement_timeout = '10ms'; SELECT pg_sleep(10)", true),
        ("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$", true),
        ("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$", true),
        ("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '53100'; END $$", true),
        ("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '55P03'; END $$", true),
    ] {
        let (first, second) = failures(&database, sql).await;
        assert!(!is_connection_lost(&first), "{sql}: {first:?}");
        assert_eq!(is_transient(&first), transient, "{sql}: {first:?}");
        assert!(second.is_none(), "{sql}: {second:?}");
    }
}

#[tokio::test]
async fn a_session_that_is_useless_counts_as_lost() {
    let database = Database::create_empty();
    for sql in [
        "SET transaction_read_only = on; CREATE TABLE x ()",
        "EXECUTE gone_with_the_pooler",
        "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '08006'; END $$",
    ] {
        let (first, _) = failures(&database, sql).await;
        assert!(is_connection_lost(&first), "{sql}: {first:?}");
    }
}
