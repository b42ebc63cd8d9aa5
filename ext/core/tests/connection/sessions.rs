//! How a session is set up.

use good_job_core::postgres::connection::{connect, ConnectError, Connected, Reason, Session};
use good_job_core::postgres::conninfo::ConnInfo;

use crate::support::Database;
use crate::{ask, session};

async fn open(database: &Database, session: &Session) -> Result<Connected, ConnectError> {
    connect(&ConnInfo::parse(&database.url()).unwrap(), session, "SET jit = off; SET work_mem = '3MB'").await
}

fn variable(name: &str, value: Option<&str>) -> (String, Option<String>) {
    (name.to_owned(), value.map(str::to_owned))
}

#[tokio::test]
async fn is_set_up_as_asked() {
    let database = Database::create_empty();
    database.run("CREATE SCHEMA app; CREATE SCHEMA \"Odd, 'one'\"");
    database.run(&format!("ALTER DATABASE {} SET statement_timeout = '7s'", database.name()));
    let session = Session {
        timezone: "America/New_York".to_owned(),
        schema_search_path: Some(r#"app, "Odd, 'one'", public"#.to_owned()),
        variables: vec![
            variable("lock_timeout", Some("1234ms")),
            variable("statement_timeout", None),
            variable("my.setting", Some(r#"it's a "\ test"#)),
            variable("timezone", Some("Asia/Tokyo")),
            variable("work_mem", Some("1MB")),
            variable("standard_conforming_strings", Some("off")),
        ],
        application_name: "good_job_rs 'test'".to_owned(),
        writes: true,
    };
    let mut connected = open(&database, &session).await.unwrap();
    for (sql, expected) in [
        ("SHOW timezone", "America/New_York"),
        ("SHOW search_path", r#"app, "Odd, 'one'", public"#),
        ("SELECT current_schemas(false)::text", r#"{app,"Odd, 'one'",public}"#),
        ("SHOW lock_timeout", "1234ms"),
        ("SHOW statement_timeout", "7s"),
        ("SHOW my.setting", r#"it's a "\ test"#),
        ("SHOW standard_conforming_strings", "on"),
        ("SHOW client_min_messages", "warning"),
        ("SHOW application_name", "good_job_rs 'test'"),
        ("SHOW client_encoding", "UTF8"),
        ("SHOW jit", "off"),
        ("SHOW work_mem", "3MB"),
    ] {
        assert_eq!(ask(&mut connected, sql).await.as_deref(), Some(expected), "{sql}");
    }
}

#[tokio::test]
async fn shows_the_connections_own_name_where_the_session_has_none() {
    let database = Database::create_empty();
    let separator = if database.url().contains('?') { '&' } else { '?' };
    for (parameter, name) in [("fallback_application_name=puma", "puma"), ("application_name=app", "app")] {
        let url = format!("{}{separator}{parameter}&options=-c%20geqo%3Doff", database.url());
        let mut connected = connect(&ConnInfo::parse(&url).unwrap(), &session(), "").await.unwrap();
        assert_eq!(ask(&mut connected, "SHOW application_name").await.as_deref(), Some(name));
        assert_eq!(ask(&mut connected, "SHOW geqo").await.as_deref(), Some("off"));
    }
}

#[tokio::test]
async fn names_the_setting_that_the_server_refuses() {
    let database = Database::create_empty();
    let cases = [
        (variable("no_such_setting", Some("1")), "unrecognized configuration parameter \"no_such_setting\""),
        (variable("work_mem", Some("lots")), "invalid value for parameter \"work_mem\": \"lots\""),
        (variable("fsync", Some("off")), "parameter \"fsync\" cannot be changed now"),
        (variable("role", Some("nobody at all")), "role \"nobody at all\" does not exist"),
        (variable("a; DROP TABLE b", Some("1")), "variables has \"a; DROP TABLE b\""),
    ];
    for (variable, message) in cases {
        let session = Session { variables: vec![variable], ..session() };
        let error = open(&database, &session).await.unwrap_err();
        assert_eq!(error.reason(), Reason::Configuration, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    let session = Session { timezone: "Mars/Olympus".to_owned(), ..session() };
    let error = open(&database, &session).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Configuration);
    assert!(error.to_string().contains("invalid value for parameter \"TimeZone\": \"Mars/Olympus\""), "{error}");
    assert!(error.hint().contains("variables"), "{}", error.hint());
}

#[tokio::test]
async fn hears_notifications_until_it_ends() {
    let database = Database::create_empty();
    let mut connected = open(&database, &session()).await.unwrap();
    ask(&mut connected, "LISTEN good_job").await;
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    database.run("NOTIFY good_job, 'one'; NOTIFY good_job, 'two'");
    database.run(others);
    assert_eq!(connected.connection.next_notification().await.as_deref(), Some("one"));
    assert_eq!(connected.connection.next_notification().await.as_deref(), Some("two"));
    assert_eq!(connected.connection.next_notification().await, None);
    assert_eq!(connected.connection.next_notification().await, None);
}
