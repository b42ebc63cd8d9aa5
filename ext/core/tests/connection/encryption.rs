//! TLS, in every `sslmode`, as libpq has it.

use std::sync::OnceLock;

use good_job_core::postgres::connection::Reason;

use crate::support::{Authority, Cluster, ClusterSpec};
use crate::{answer, refused, try_connect};

const IS_ENCRYPTED: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

const SAN: &str = "subjectAltName = DNS:localhost";

/// A server with TLS: its certificate is the authority's and names localhost alone.
struct Server {
    cluster: Cluster,
    port: String,
    authority: Authority,
    stranger: Authority,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let authority = Authority::new("the authority");
        let pair = authority.issue("localhost", Some(SAN));
        let root = std::fs::read_to_string(authority.root()).unwrap();
        let cluster = Cluster::start(&ClusterSpec {
            settings: "ssl = on\nssl_ca_file = 'root.crt'",
            access: "local all all trust
                hostssl all tls_only all trust
                hostssl all bound all scram-sha-256
                hostnossl all plain_only all trust
                hostssl all certified all cert
                host all anyone all trust",
            files: &[("server.crt", &pair.certificate), ("server.key", &pair.key), ("root.crt", &root)],
            sql: &[
                "CREATE ROLE tls_only LOGIN; CREATE ROLE plain_only LOGIN; CREATE ROLE anyone LOGIN",
                "CREATE ROLE certified LOGIN; CREATE ROLE bound LOGIN PASSWORD 'secret'",
            ],
        });
        let port = cluster.port.to_string();
        Server { cluster, port, authority, stranger: Authority::new("a stranger") }
    })
}

fn settings<'a>(user: &'a str, host: &'a str, mode: &'a str, root: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("host", host),
        ("hostaddr", "127.0.0.1"),
        ("port", &server().port),
        ("dbname", "postgres"),
        ("user", user),
        ("sslmode", mode),
        ("sslrootcert", root),
    ]
}

#[tokio::test]
async fn each_mode_proves_what_it_says() {
    let (good, wrong) = (server().authority.root(), server().stranger.root());
    // (mode, root certificate, host): encrypted or not; None: no connection. The server takes both.
    let cases = [
        ("disable", "/nonexistent", "localhost", Some("f")),
        ("allow", "/nonexistent", "localhost", Some("f")),
        ("prefer", "/nonexistent", "localhost", Some("t")),
        ("prefer", &good, "localhost", Some("t")),
        ("prefer", &wrong, "localhost", Some("f")),
        ("require", "/nonexistent", "localhost", Some("t")),
        ("require", "/nonexistent", "127.0.0.1", Some("t")),
        ("require", &good, "127.0.0.1", Some("t")),
        ("require", &wrong, "localhost", None),
        ("verify-ca", &good, "localhost", Some("t")),
        ("verify-ca", &good, "127.0.0.1", Some("t")),
        ("verify-ca", &wrong, "localhost", None),
        ("verify-full", &good, "localhost", Some("t")),
        ("verify-full", &good, "127.0.0.1", None),
        ("verify-full", &good, "db.example.com", None),
        ("verify-full", &wrong, "localhost", None),
    ];
    for (mode, root, host, encrypted) in cases {
        let settings = settings("anyone", host, mode, root);
        let found = match try_connect(&settings).await {
            Ok(mut connected) => crate::ask(&mut connected, IS_ENCRYPTED).await,
            Err(error) => {
                assert_eq!(error.reason(), Reason::Tls, "{mode} {root} {host}: {error}");
                None
            }
        };
        assert_eq!(found.as_deref(), encrypted, "{mode} {root} {host}");
    }
}

#[tokio::test]
async fn follows_what_pg_hba_asks_for() {
    let cases = [
        ("allow", "tls_only", Some("t")),
        ("allow", "plain_only", Some("f")),
        ("prefer", "tls_only", Some("t")),
        ("prefer", "plain_only", Some("f")),
        ("require", "tls_only", Some("t")),
        ("require", "plain_only", None),
        ("disable", "tls_only", None),
        ("disable", "plain_only", Some("f")),
    ];
    for (mode, user, encrypted) in cases {
        let settings = settings(user, "localhost", mode, "/nonexistent");
        match encrypted {
            Some(_) => assert_eq!(answer(&settings, IS_ENCRYPTED).await.as_deref(), encrypted, "{mode} {user}"),
            None => {
                let error = refused(&settings).await;
                assert_eq!(error.reason(), Reason::Authentication, "{mode} {user}: {error}");
                assert!(error.to_string().contains("no pg_hba.conf entry"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn says_what_is_wrong_with_a_certificate() {
    let (good, wrong) = (server().authority.root(), server().stranger.root());
    let error = refused(&settings("anyone", "localhost", "verify-full", &wrong)).await;
    assert!(error.hint().contains("issued by an authority that sslrootcert does not hold"), "{error} / {}", error.hint());

    let error = refused(&settings("anyone", "db.example.com", "verify-full", &good)).await;
    assert!(error.to_string().contains("db.example.com"), "{error}");
    assert!(error.hint().contains("connect by a host name that the certificate holds"), "{error} / {}", error.hint());

    let error = refused(&settings("anyone", "localhost", "verify-full", "/nonexistent")).await;
    assert_eq!(error.reason(), Reason::Configuration);
    assert!(error.to_string().contains("needs the root certificate file /nonexistent, which does not exist"), "{error}");

    let nameless: Vec<_> = settings("anyone", "", "verify-full", &good);
    let error = refused(&nameless).await;
    assert_eq!(error.reason(), Reason::Configuration);
    assert!(error.to_string().contains("needs the setting host"), "{error}");
}

#[tokio::test]
async fn binds_the_password_to_the_channel() {
    let secret = ("password", "secret");
    let root = server().authority.root();
    let bound = [&settings("bound", "localhost", "verify-full", &root)[..], &[secret, ("channel_binding", "require")]].concat();
    assert_eq!(answer(&bound, IS_ENCRYPTED).await.as_deref(), Some("t"));
}

#[tokio::test]
async fn needs_no_tls_on_a_socket_and_says_where_a_server_has_none() {
    let socket = server().cluster.socket_directory();
    let mode = ("sslmode", "verify-full");
    let by_socket = [("host", socket), ("port", server().port.as_str()), ("user", "anyone"), ("dbname", "postgres"), mode];
    assert_eq!(answer(&by_socket, IS_ENCRYPTED).await.as_deref(), Some("f"));

    let plain = Cluster::start(&ClusterSpec { access: "host all all all trust", ..ClusterSpec::default() });
    let port = plain.port.to_string();
    let common = [("host", "127.0.0.1"), ("port", port.as_str()), ("user", "postgres")];
    for mode in ["allow", "prefer"] {
        let settings = [&common[..], &[("sslmode", mode)]].concat();
        assert_eq!(answer(&settings, IS_ENCRYPTED).await.as_deref(), Some("f"), "{mode}");
    }
    let error = refused(&[&common[..], &[("sslmode", "require")]].concat()).await;
    assert_eq!(error.reason(), Reason::Tls);
    assert!(error.to_string().contains("the server has no TLS, and sslmode=require"), "{error}");
    assert!(error.hint().contains("ssl = on"), "{}", error.hint());
}

#[tokio::test]
async fn keeps_to_the_versions_that_are_allowed() {
    let version = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let base = settings("anyone", "localhost", "require", "/nonexistent");
    for (keyword, value, expected) in [
        ("ssl_min_protocol_version", "TLSv1.2", "TLSv1.3"),
        ("ssl_max_protocol_version", "TLSv1.2", "TLSv1.2"),
        ("ssl_min_protocol_version", "TLSv1.3", "TLSv1.3"),
        ("sslsni", "0", "TLSv1.3"),
    ] {
        let settings = [&base[..], &[(keyword, value)]].concat();
        assert_eq!(answer(&settings, version).await.as_deref(), Some(expected), "{keyword}={value}");
    }
}

#[tokio::test]
async fn shows_its_own_certificate() {
    let authority = &server().authority;
    authority.issue("certified", None);
    let root = authority.root();
    let (certificate, key) = (authority.file("certified.crt"), authority.file("certified.key"));
    let base = settings("certified", "localhost", "verify-full", &root);
    let with = |certificate, key| [&base[..], &[("sslcert", certificate), ("sslkey", key)]].concat();

    assert_eq!(answer(&with(&certificate, &key), "SELECT session_user").await.as_deref(), Some("certified"));

    let error = refused(&base).await;
    assert_eq!(error.reason(), Reason::Authentication);

    let error = refused(&with("/nonexistent.crt", &key)).await;
    assert_eq!(error.reason(), Reason::Configuration);
    assert!(error.to_string().contains("sslcert /nonexistent.crt cannot be used"), "{error}");

    let stranger = server().stranger.file("ca.key");
    let error = refused(&with(&certificate, &stranger)).await;
    assert!(error.to_string().contains("does not belong to sslkey"), "{error}");

    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let error = refused(&with(&certificate, &key)).await;
    assert!(error.to_string().contains("may be read by others; run: chmod 0600"), "{error}");
}

/// The certificates that people really have, on a server of their own that is given one after the other.
#[tokio::test]
async fn takes_the_certificates_that_libpq_takes() {
    let authority = Authority::new("an authority");
    let first = authority.issue("localhost", Some(SAN));
    let cluster = Cluster::start(&ClusterSpec {
        settings: "ssl = on",
        access: "host all all all trust",
        files: &[("server.crt", &first.certificate), ("server.key", &first.key)],
        sql: &[],
    });
    let root = authority.root();
    let none = authority.revocation_list(None);
    let revoked = authority.revocation_list(Some("localhost"));
    let self_signed = authority.self_signed("own", "localhost", &[]);
    let own = authority.file("own.crt");
    let named = authority.issue("127.0.0.1", Some("basicConstraints = CA:FALSE"));
    let old = authority.issue("old", None);

    // (certificate, mode, root certificate, further setting): does it connect?
    let cases = [
        (&first, "verify-full", &root, ("sslcrl", none.as_str()), true),
        (&first, "verify-full", &root, ("sslcrl", revoked.as_str()), false),
        (&self_signed, "verify-full", &own, ("sslcrl", ""), true),
        (&self_signed, "verify-full", &root, ("sslcrl", ""), false),
        (&self_signed, "require", &own, ("sslcrl", ""), true),
        (&named, "verify-full", &root, ("host", "127.0.0.1"), true),
        (&named, "verify-full", &root, ("host", "localhost"), false),
        (&old, "require", &"/nonexistent".to_owned(), ("sslcrl", ""), true),
    ];
    for (pair, mode, root, extra, connects) in cases {
        cluster.write("server.crt", &pair.certificate);
        cluster.write("server.key", &pair.key);
        cluster.reload();
        let port = cluster.port.to_string();
        let settings = [
            ("host", "localhost"),
            ("hostaddr", "127.0.0.1"),
            ("port", port.as_str()),
            ("user", "postgres"),
            ("sslmode", mode),
            ("sslrootcert", root),
            extra,
        ];
        let result = try_connect(&settings).await;
        assert_eq!(result.is_ok(), connects, "{mode} {root} {extra:?}: {:?}", result.err());
    }
}
