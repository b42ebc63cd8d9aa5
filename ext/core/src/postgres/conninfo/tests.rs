use super::*;

fn surroundings() -> Surroundings {
    Surroundings {
        home: Some(PathBuf::from("/home/deploy")),
        user: Some("deploy".to_owned()),
        socket_directory: PathBuf::from("/var/run/postgresql"),
    }
}

fn read(settings: &[(&str, &str)]) -> Result<ConnInfo, ConnInfoError> {
    let owned = settings.iter().map(|(keyword, value)| ((*keyword).to_owned(), (*value).to_owned()));
    ConnInfo::read(owned, &surroundings())
}

fn message(settings: &[(&str, &str)]) -> String {
    read(settings).unwrap_err().to_string()
}

fn shown_hosts(settings: &[(&str, &str)]) -> Vec<String> {
    read(settings).unwrap().endpoints.iter().map(ToString::to_string).collect()
}

#[test]
fn has_libpqs_defaults() {
    let conninfo = read(&[]).unwrap();
    assert_eq!(conninfo.to_string(), r#"/var/run/postgresql/.s.PGSQL.5432, database "deploy", user "deploy""#);
    assert_eq!(conninfo.passfile, Some(PathBuf::from("/home/deploy/.pgpass")));
    assert_eq!(conninfo.connect_timeout, CONNECT_TIMEOUT_DEFAULT);
    assert_eq!(conninfo.tls.mode, SslMode::Prefer);
    assert_eq!(conninfo.tls.roots, Roots::File(PathBuf::from("/home/deploy/.postgresql/root.crt")));
    assert_eq!(conninfo.tcp.keepalives_idle, Some(Duration::from_secs(60)));
    assert_eq!(conninfo.tcp.user_timeout, Some(Duration::from_secs(5)));
    assert_eq!(conninfo.target, TargetSession::Any);
    assert_eq!(conninfo.application_name, None);
}

#[test]
fn accepts_what_libpq_16_reports_as_its_defaults() {
    let conninfo = read(&[
        ("service", ""),
        ("user", "me"),
        ("password", ""),
        ("passfile", "/p"),
        ("channel_binding", "prefer"),
        ("connect_timeout", ""),
        ("dbname", "app"),
        ("host", ""),
        ("hostaddr", ""),
        ("port", "5432"),
        ("client_encoding", ""),
        ("options", ""),
        ("application_name", ""),
        ("fallback_application_name", "puma"),
        ("keepalives", ""),
        ("keepalives_idle", ""),
        ("keepalives_interval", ""),
        ("keepalives_count", ""),
        ("tcp_user_timeout", ""),
        ("sslmode", "prefer"),
        ("sslcompression", "0"),
        ("sslcert", ""),
        ("sslkey", ""),
        ("sslcertmode", "allow"),
        ("sslpassword", ""),
        ("sslrootcert", ""),
        ("sslcrl", ""),
        ("sslcrldir", ""),
        ("sslsni", "1"),
        ("requirepeer", ""),
        ("require_auth", ""),
        ("ssl_min_protocol_version", "TLSv1.2"),
        ("ssl_max_protocol_version", ""),
        ("gssencmode", "prefer"),
        ("krbsrvname", "postgres"),
        ("gsslib", ""),
        ("gssdelegation", "0"),
        ("replication", ""),
        ("target_session_attrs", "any"),
        ("load_balance_hosts", "disable"),
    ])
    .unwrap();
    assert_eq!(conninfo.application_name.as_deref(), Some("puma"));
    assert_eq!(conninfo.password, None);
}

#[test]
fn pairs_hosts_addresses_and_ports() {
    type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);
    let cases: [Case; 7] = [
        (&[("host", "a")], &["a port 5432"]),
        (&[("host", "a,b"), ("port", "1")], &["a port 1", "b port 1"]),
        (&[("host", "a,b"), ("port", "1,")], &["a port 1", "b port 5432"]),
        (&[("host", "a,/run/pg,@abstract"), ("port", "1,2,3")], &["a port 1", "/run/pg/.s.PGSQL.2", "@abstract/.s.PGSQL.3"]),
        (&[("host", "a"), ("hostaddr", "10.0.0.1")], &["a (10.0.0.1) port 5432"]),
        (&[("hostaddr", "::1,10.0.0.2")], &["::1 port 5432", "10.0.0.2 port 5432"]),
        (&[("host", "a,")], &["a port 5432", "/var/run/postgresql/.s.PGSQL.5432"]),
    ];
    for (settings, shown) in cases {
        assert_eq!(shown_hosts(settings), shown, "{settings:?}");
    }
}

#[test]
fn a_password_file_calls_the_default_socket_localhost() {
    let name = |settings: &[(&str, &str)]| read(settings).unwrap().endpoints[0].passfile_name();
    assert_eq!(name(&[]), "localhost");
    assert_eq!(name(&[("host", "/var/run/postgresql")]), "localhost");
    assert_eq!(name(&[("host", "/tmp")]), "/tmp");
    assert_eq!(name(&[("host", "a"), ("hostaddr", "10.0.0.1")]), "a");
    assert_eq!(name(&[("hostaddr", "10.0.0.1")]), "10.0.0.1");
}

#[test]
fn reads_times_and_counts_in_libpqs_units() {
    let conninfo = read(&[
        ("connect_timeout", " 3 "),
        ("keepalives_idle", "7"),
        ("keepalives_interval", "0"),
        ("keepalives_count", "4"),
        ("tcp_user_timeout", "3000"),
    ])
    .unwrap();
    assert_eq!(conninfo.connect_timeout, Duration::from_secs(3));
    assert_eq!(
        conninfo.tcp,
        TcpSettings {
            keepalives: true,
            keepalives_idle: Some(Duration::from_secs(7)),
            keepalives_interval: None,
            keepalives_count: Some(4),
            user_timeout: Some(Duration::from_secs(3)),
        }
    );
    assert!(!read(&[("keepalives", "0")]).unwrap().tcp.keepalives);
    assert_eq!(read(&[("connect_timeout", "0")]).unwrap().connect_timeout, CONNECT_TIMEOUT_DEFAULT);
}

#[test]
fn a_dbname_may_be_a_whole_connection_string() {
    let conninfo = read(&[("host", "a"), ("port", "5432"), ("dbname", "postgres://me:p%20w@b:1/app")]).unwrap();
    assert_eq!(conninfo.to_string(), r#"b port 1, database "app", user "me""#);
    assert_eq!(conninfo.password.unwrap().reveal(), "p w");
    assert_eq!(read(&[("dbname", "host=c dbname=d")]).unwrap().dbname, "d");
}

#[test]
fn systems_authorities_mean_verify_full() {
    assert_eq!(read(&[("sslrootcert", "system")]).unwrap().tls.mode, SslMode::VerifyFull);
    assert_eq!(read(&[("sslrootcert", "system"), ("sslmode", "prefer")]).unwrap().tls.mode, SslMode::VerifyFull);
    assert!(message(&[("sslrootcert", "system"), ("sslmode", "require")]).contains("verify-full"));
}

#[test]
fn names_the_setting_its_value_and_what_is_allowed() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("hots", "a")], r#"unknown connection setting "hots": no PostgreSQL client knows it"#),
        (&[("port", "0")], r#"port="0" is not valid: a number from 1 to 65535 is expected"#),
        (&[("port", "x")], r#"port="x" is not valid"#),
        (&[("host", "a,b"), ("port", "1,2,3")], "port lists 3 ports for 2 hosts"),
        (&[("host", "a"), ("hostaddr", "10.0.0.1,10.0.0.2")], "host lists 1 and hostaddr 2"),
        (&[("hostaddr", "a")], r#"hostaddr="a" is not valid: an IPv4 or IPv6 address is expected"#),
        (&[("connect_timeout", "2s")], r#"connect_timeout="2s" is not valid: an integer is expected"#),
        (
            &[("sslmode", "verify_full")],
            r#"sslmode="verify_full" is not valid: allowed are disable, allow, prefer, require, verify-ca, verify-full"#,
        ),
        (&[("sslsni", "yes")], r#"sslsni="yes" is not valid: allowed are 1, 0"#),
        (&[("target_session_attrs", "master")], "allowed are any, read-write, read-only, primary, standby, prefer-standby"),
        (&[("channel_binding", "on")], "allowed are disable, prefer, require"),
        (&[("load_balance_hosts", "1")], "allowed are disable, random"),
        (&[("client_encoding", "LATIN1")], r#"client_encoding="LATIN1" is not valid"#),
        (&[("ssl_min_protocol_version", "SSLv3")], "allowed are TLSv1, TLSv1.1, TLSv1.2, TLSv1.3"),
        (&[("ssl_min_protocol_version", "TLSv1.3"), ("ssl_max_protocol_version", "TLSv1.2")], "is higher than"),
        (&[("ssl_max_protocol_version", "TLSv1.1")], "too low"),
        (&[("sslnegotiation", "direct")], "sslnegotiation=direct cannot be used with sslmode=prefer"),
        (&[("gssencmode", "require")], r#"gssencmode="require" is not supported: connections are encrypted by TLS only"#),
        (&[("service", "prod")], "set PGSERVICE in the environment"),
        (&[("requirepeer", "postgres")], "not supported"),
        (&[("replication", "database")], "not supported"),
        (&[("user", "a\0b")], "user contains a NUL byte"),
    ];
    for (settings, part) in cases {
        let message = message(settings);
        assert!(message.contains(part), "{settings:?}: {message}");
    }
    let many = vec!["a"; hosts::HOSTS_MAX + 1].join(",");
    assert!(message(&[("host", &many)]).contains("64 is the limit"));
}

#[test]
fn never_shows_the_password() {
    let conninfo = read(&[("password", "s3cret"), ("host", "a")]).unwrap();
    assert!(!format!("{conninfo:?} {conninfo:#?} {conninfo}").contains("s3cret"));
    assert!(!message(&[("password", "s3cret\0")]).contains("s3cret"));
}
