//! Being let in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::OnceLock;

use good_job_core::postgres::connection::{connect, Reason};
use good_job_core::postgres::conninfo::ConnInfo;

use crate::support::{Cluster, ClusterSpec, Scratch};
use crate::{answer, refused, session, try_connect};

const ODD: &[&str] = &[
    "plain",
    "with spaces  ",
    "it's \"quoted\"",
    r"back\slash\\",
    "100%41%",
    "p@ss:w/o?r#d&x=y",
    "ünïcödé ☃ 密码",
    "\u{a0}non-breaking\u{2126}",
    "$user{x}`~!^*()[]<>|;,",
];

/// Name, how pg_hba.conf calls it, how the password is kept.
const METHODS: [(&str, &str, &str); 3] =
    [("scram", "scram-sha-256", "scram-sha-256"), ("md5", "md5", "md5"), ("clear", "password", "scram-sha-256")];

/// One user for each password and each way of checking it, and some who are not let in.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let mut sql = String::from(
            "CREATE ROLE trusted; CREATE ROLE outsider LOGIN IN ROLE trusted; CREATE ROLE group_only IN ROLE trusted; \
             CREATE ROLE limited LOGIN CONNECTION LIMIT 0 IN ROLE trusted; \
             REVOKE CONNECT ON DATABASE guarded FROM PUBLIC;",
        );
        let mut access = String::from("host all +trusted all trust\n");
        for (name, method, encryption) in METHODS {
            access.push_str(&format!("host all +by_{name} all {method}\n"));
            sql.push_str(&format!("CREATE ROLE by_{name}; SET password_encryption = '{encryption}';"));
            for (index, password) in ODD.iter().enumerate() {
                let literal = password.replace('\'', "''");
                sql.push_str(&format!("CREATE ROLE \"{name} {index}\" LOGIN PASSWORD '{literal}' IN ROLE by_{name};"));
            }
        }
        Cluster::start(&ClusterSpec { access: &access, sql: &["CREATE DATABASE guarded", &sql], ..ClusterSpec::default() })
    })
}

fn server() -> [(&'static str, &'static str); 3] {
    static PORT: OnceLock<String> = OnceLock::new();
    let port = PORT.get_or_init(|| cluster().port.to_string());
    [("host", "127.0.0.1"), ("port", port), ("dbname", "postgres")]
}

fn user(name: &'static str) -> Vec<(&'static str, &'static str)> {
    [&server()[..], &[("user", name)]].concat()
}

#[tokio::test]
async fn takes_passwords_with_odd_characters() {
    for (method, ..) in METHODS {
        for (index, password) in ODD.iter().enumerate() {
            let name = format!("{method} {index}");
            let settings = [&server()[..], &[("user", &name), ("password", password)]].concat();
            let found = answer(&settings, "SELECT session_user").await;
            assert_eq!(found.as_deref(), Some(name.as_str()), "{password}");
        }
    }
}

#[tokio::test]
async fn takes_odd_passwords_from_a_url() {
    let encoded: String = ODD[5].bytes().map(|byte| format!("%{byte:02x}")).collect();
    let url = format!("postgres://scram%205:{encoded}@127.0.0.1:{}/postgres?passfile=/nonexistent", cluster().port);
    connect(&ConnInfo::parse(&url).unwrap(), &session(), "").await.unwrap();
}

#[tokio::test]
async fn refuses_a_wrong_password_without_showing_it() {
    for name in ["scram 0", "md5 0", "clear 0"] {
        let error = refused(&[&user(name)[..], &[("password", "wr0ng")]].concat()).await;
        assert_eq!(error.reason(), Reason::Authentication);
        assert!(error.to_string().contains(&format!("password authentication failed for user \"{name}\"")), "{error}");
        assert!(!format!("{error:?}{error}{}", error.hint()).contains("wr0ng"));
    }
}

#[tokio::test]
async fn asks_for_a_password_where_none_is_given() {
    let error = refused(&user("scram 0")).await;
    assert_eq!(error.reason(), Reason::Authentication);
    assert!(error.to_string().contains("the server asks for a password and none is given"), "{error}");
    assert_eq!(error.hint(), "give the setting password, or put one into the password file");
}

#[tokio::test]
async fn finds_the_password_in_a_password_file() {
    let file = PassFile::new(r"127.0.0.1:*:postgres:scram 3:back\\slash\\\\");
    let path = file.path();
    let settings = [&user("scram 3")[..], &[("passfile", path.as_str())]].concat();
    assert_eq!(answer(&settings, "SELECT session_user").await.as_deref(), Some("scram 3"));

    file.set_mode(0o644);
    let error = refused(&settings).await;
    assert_eq!(error.reason(), Reason::Authentication);
    assert!(error.hint().contains("was ignored because others may read it; run: chmod 0600"), "{}", error.hint());
}

#[tokio::test]
async fn says_who_is_not_let_in() {
    let cases = [
        ("nobody", "postgres", Reason::Authentication, "no pg_hba.conf entry for host"),
        ("group_only", "postgres", Reason::Authentication, "is not permitted to log in"),
        ("outsider", "guarded", Reason::Authentication, "permission denied for database"),
        ("limited", "postgres", Reason::TooManyConnections, "too many connections for role"),
        ("outsider", "nope", Reason::NoDatabase, "database \"nope\" does not exist"),
    ];
    for (name, database, reason, message) in cases {
        let error = refused(&[&user(name)[..], &[("dbname", database)]].concat()).await;
        assert_eq!(error.reason(), reason, "{error}");
        assert!(error.to_string().contains(message), "{error}");
        assert!(!error.hint().is_empty());
    }
}

#[tokio::test]
async fn insists_on_channel_binding_if_asked_to() {
    let password = ("password", ODD[0]);
    let with = |value| [&user("scram 0")[..], &[password, ("channel_binding", value)]].concat();
    assert!(try_connect(&with("disable")).await.is_ok());
    // Without TLS there is nothing to bind to.
    let error = refused(&with("require")).await;
    assert_eq!(error.reason(), Reason::Authentication);
    assert!(error.to_string().contains("channel binding"), "{error}");
}

struct PassFile {
    directory: Scratch,
}

impl PassFile {
    fn new(content: &str) -> Self {
        let file = Self { directory: Scratch::new() };
        fs::write(file.path(), content).unwrap();
        file.set_mode(0o600);
        file
    }

    fn set_mode(&self, mode: u32) {
        fs::set_permissions(self.path(), PermissionsExt::from_mode(mode)).unwrap();
    }

    fn path(&self) -> String {
        self.directory.file("pgpass")
    }
}
