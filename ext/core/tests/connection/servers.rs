//! Finding a server among those that are named.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use good_job_core::postgres::connection::{connect, Reason, Session};
use good_job_core::postgres::conninfo::ConnInfo;

use crate::support::{Cluster, ClusterSpec, Database, Impostor};
use crate::{answer, ask, conninfo, refused, session, try_connect};

const CURRENT_DATABASE: &str = "SELECT current_database()";

/// A port of this machine on which nobody listens.
fn dead_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

fn open_cluster(spec: &ClusterSpec<'_>) -> Cluster {
    Cluster::start(&ClusterSpec { access: "local all all trust\nhost all all all trust", ..*spec })
}

#[tokio::test]
async fn connects_by_url() {
    let database = Database::create_empty();
    let mut connected = connect(&ConnInfo::parse(&database.url()).unwrap(), &session(), "").await.unwrap();
    assert_eq!(crate::ask(&mut connected, CURRENT_DATABASE).await.as_deref(), Some(database.name()));
}

#[tokio::test]
async fn connects_by_name_by_address_and_by_socket() {
    let cluster = open_cluster(&ClusterSpec::default());
    let port = cluster.port.to_string();
    let common = [("port", port.as_str()), ("user", "postgres"), ("dbname", "postgres")];
    let ways = [
        ("host", "localhost", "127.0.0.1/32"),
        ("host", "127.0.0.1", "127.0.0.1/32"),
        ("hostaddr", "127.0.0.1", "127.0.0.1/32"),
        ("host", cluster.socket_directory(), "socket"),
    ];
    for (keyword, value, seen_from) in ways {
        let settings = [&common[..], &[(keyword, value)]].concat();
        let address = answer(&settings, "SELECT coalesce(inet_server_addr()::text, 'socket')").await;
        assert_eq!(address.as_deref(), Some(seen_from), "{keyword}={value}");
    }

    let both = [&common[..], &[("host", "no-such-host.invalid"), ("hostaddr", "127.0.0.1")]].concat();
    assert_eq!(answer(&both, CURRENT_DATABASE).await.as_deref(), Some("postgres"));
}

#[tokio::test]
async fn goes_on_to_the_next_host_where_one_cannot_be_reached() {
    let cluster = open_cluster(&ClusterSpec::default());
    let silent = Impostor::silent();
    let hosts = "127.0.0.1,/nonexistent,no-such-host.invalid,127.0.0.1,127.0.0.1";
    let ports = format!("{},1,1,{},{}", dead_port(), silent.port, cluster.port);
    let settings = [("host", hosts), ("port", &ports), ("user", "postgres"), ("connect_timeout", "1")];
    assert_eq!(answer(&settings, CURRENT_DATABASE).await.as_deref(), Some("postgres"));

    let random = [&settings[..], &[("load_balance_hosts", "random")]].concat();
    assert_eq!(answer(&random, CURRENT_DATABASE).await.as_deref(), Some("postgres"));
}

#[tokio::test]
async fn stops_at_a_server_that_turns_us_down() {
    let cluster = open_cluster(&ClusterSpec::default());
    let ports = format!("{},{}", cluster.port, dead_port());
    let settings = [("host", "127.0.0.1,127.0.0.1"), ("port", &ports), ("user", "postgres"), ("dbname", "nope")];
    let error = refused(&settings).await;
    assert_eq!(error.reason(), Reason::NoDatabase);
    assert_eq!(
        error.to_string(),
        format!(
            "could not connect to database \"nope\": 127.0.0.1 port {}: database \"nope\" does not exist (SQLSTATE 3D000)",
            cluster.port
        )
    );
    assert_eq!(error.hint(), "create the database, or correct the setting dbname");
}

#[tokio::test]
async fn says_where_nobody_listens() {
    let port = dead_port();
    let error = refused(&[("host", "localhost"), ("port", &port), ("dbname", "app")]).await;
    assert_eq!(error.reason(), Reason::Refused);
    let message = error.to_string();
    assert!(message.contains(&format!("localhost (127.0.0.1) port {port}: Connection refused")), "{message}");
    assert!(message.contains("database \"app\""), "{message}");

    let error = refused(&[("host", "/nonexistent")]).await;
    assert_eq!(error.reason(), Reason::Refused);
    assert!(error.to_string().contains("/nonexistent/.s.PGSQL.5432: No such file"), "{error}");

    let error = refused(&[("host", "no-such-host.invalid")]).await;
    assert_eq!(error.reason(), Reason::Refused);
    assert!(error.to_string().contains("no-such-host.invalid port 5432: the name cannot be resolved"), "{error}");
}

#[tokio::test]
async fn tells_what_got_furthest_of_many_attempts() {
    let http = Impostor::answering(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let ports = format!("{0},{1},{0},{0},{0},{0}", dead_port(), http.port);
    let error = refused(&[("host", &["127.0.0.1"; 6].join(",")), ("port", &ports)]).await;
    assert_eq!(error.reason(), Reason::NotPostgres);
    assert!(error.to_string().contains("HTTP/1.1 400 Bad Request"), "{error}");
}

#[tokio::test]
async fn knows_servers_that_are_not_postgres_at_once() {
    let started_at = Instant::now();
    let impostors: [(&str, Impostor, &str); 5] = [
        ("HTTP", Impostor::answering(b"HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\n\r\n"), "HTTP/1.1 400 Bad Request"),
        ("SSH", Impostor::greeting(b"SSH-2.0-OpenSSH_9.2p1\r\n"), ""),
        ("memcached", Impostor::answering(b"ERROR\r\n"), ""),
        ("MySQL", Impostor::greeting(b"J\0\0\0\x0a8.0.36\0\x08\0\0\0"), ""),
        ("Redis", Impostor::answering(b"-ERR unknown command\r\n"), ""),
    ];
    for (name, impostor, excerpt) in &impostors {
        for mode in ["disable", "allow", "prefer", "require"] {
            let port = impostor.port.to_string();
            let error = refused(&[("host", "127.0.0.1"), ("port", &port), ("sslmode", mode)]).await;
            assert_eq!(error.reason(), Reason::NotPostgres, "{name} {mode}: {error}");
            assert!(error.to_string().contains(excerpt), "{name} {mode}: {error}");
        }
    }
    assert!(started_at.elapsed() < Duration::from_secs(8), "{:?}", started_at.elapsed());
}

#[tokio::test]
async fn gives_up_on_a_server_that_does_not_answer() {
    let silent = Impostor::silent();
    let port = silent.port.to_string();
    for mode in ["disable", "prefer"] {
        let started_at = Instant::now();
        let error = refused(&[("host", "127.0.0.1"), ("port", &port), ("sslmode", mode), ("connect_timeout", "1")]).await;
        assert_eq!(error.reason(), Reason::Timeout, "{error}");
        assert!(error.to_string().contains("the greeting was not complete within 1 s"), "{error}");
        assert!(error.hint().contains("check that it is PostgreSQL"), "{}", error.hint());
        assert!(started_at.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn says_that_a_server_hung_up() {
    let port = Impostor::hanging_up().port.to_string();
    let error = refused(&[("host", "127.0.0.1"), ("port", &port), ("sslmode", "disable")]).await;
    assert_eq!(error.reason(), Reason::Other);
    assert!(error.to_string().contains("closed the connection") || error.to_string().contains("reset"), "{error}");
}

#[tokio::test]
async fn goes_on_where_a_server_is_starting_up() {
    let starting = Impostor::failing_with("57P03", "the database system is starting up");
    let port = starting.port.to_string();
    let one = [("host", "127.0.0.1"), ("port", port.as_str()), ("user", "postgres"), ("sslmode", "disable")];
    let error = refused(&one).await;
    assert_eq!(error.reason(), Reason::StartingUp);
    assert!(error.to_string().contains("the database system is starting up (SQLSTATE 57P03)"), "{error}");

    let cluster = open_cluster(&ClusterSpec::default());
    let ports = format!("{port},{}", cluster.port);
    let two = [&one[..], &[("host", "127.0.0.1,127.0.0.1"), ("port", &ports)]].concat();
    assert!(try_connect(&two).await.is_ok());
}

#[tokio::test]
async fn finds_the_server_of_the_wanted_kind() {
    let primary = open_cluster(&ClusterSpec {
        sql: &["CREATE DATABASE frozen", "ALTER DATABASE frozen SET default_transaction_read_only = on"],
        ..ClusterSpec::default()
    });
    let standby = open_cluster(&ClusterSpec { files: &[("standby.signal", "")], ..ClusterSpec::default() });
    let both = format!("{},{}", primary.port, standby.port);
    let both_reversed = format!("{},{}", standby.port, primary.port);

    for (target, is_standby) in
        [("any", "f"), ("read-write", "f"), ("primary", "f"), ("read-only", "t"), ("standby", "t"), ("prefer-standby", "t")]
    {
        for ports in [&both, &both_reversed] {
            if target == "any" && ports == &both_reversed {
                continue;
            }
            let settings = [("host", "127.0.0.1,127.0.0.1"), ("port", ports), ("user", "postgres"), ("target_session_attrs", target)];
            let found = answer(&settings, "SELECT pg_is_in_recovery()").await;
            assert_eq!(found.as_deref(), Some(is_standby), "{target} of {ports}");
        }
    }

    let port = primary.port.to_string();
    let alone = [("host", "127.0.0.1"), ("port", port.as_str()), ("user", "postgres"), ("dbname", "frozen")];
    let with = |target| [&alone[..], &[("target_session_attrs", target)]].concat();
    assert!(try_connect(&with("read-only")).await.is_ok());
    assert!(try_connect(&with("primary")).await.is_ok());
    assert!(try_connect(&with("prefer-standby")).await.is_ok());
    let error = refused(&with("read-write")).await;
    assert!(error.to_string().contains("the server is read-only, and target_session_attrs=read-write"), "{error}");
    let error = refused(&with("standby")).await;
    assert!(error.to_string().contains("the server is not a standby"), "{error}");

    // For whoever has to write, a server that takes no writes will not do.
    let writing = Session { writes: true, ..session() };
    let settings = [("host", "127.0.0.1,127.0.0.1"), ("port", both_reversed.as_str()), ("user", "postgres")];
    let mut found = connect(&conninfo(&settings), &writing, "").await.unwrap();
    assert_eq!(ask(&mut found, "SELECT pg_is_in_recovery()").await.as_deref(), Some("f"));
    let error = connect(&conninfo(&alone), &writing, "").await.unwrap_err();
    assert_eq!(error.reason(), Reason::ReadOnly);
    assert!(error.to_string().contains("default_transaction_read_only is on"), "{error}");
    assert!(connect(&conninfo(&alone), &writing, "SET default_transaction_read_only = off").await.is_ok());
}
