//! A fresh database with the gem's tables, for one test.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

use postgres::{Client, NoTls};

use super::{blocking, project, value};

const NAME_PREFIX: &str = "good_job_core_test";

/// A database of its own on the server that `DATABASE_URL` or `bin/postgres` names; dropped with the value.
pub struct Database {
    name: String,
}

impl Database {
    /// With the schema of `migrations/`.
    pub fn create() -> Self {
        let database = Self::create_empty();
        for path in migrations() {
            database.run(&fs::read_to_string(path).unwrap());
        }
        database
    }

    /// Without any table.
    pub fn create_empty() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{NAME_PREFIX}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        on_server(&format!("CREATE DATABASE {name}")).unwrap();
        Self { name }
    }

    /// Refuses new sessions, or admits them again; those that are there stay.
    pub fn admit(&self, admitted: bool) {
        on_server(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS {admitted}", self.name)).unwrap();
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection URL.
    pub fn url(&self) -> String {
        with_database(server_url(), &self.name)
    }

    /// How to connect, by libpq's keywords.
    pub fn settings(&self) -> BTreeMap<String, String> {
        // A dbname may be a whole connection string.
        BTreeMap::from([("dbname".to_owned(), self.url())])
    }

    /// Runs SQL; several statements are fine.
    pub fn run(&self, sql: &str) {
        blocking(|| self.client().batch_execute(sql)).unwrap();
    }

    /// The first column of the first row that `sql` gives, as text.
    pub fn value(&self, sql: &str) -> Option<String> {
        blocking(|| value(&mut self.client(), sql))
    }

    /// A session to look in with. It cannot be used where a tokio runtime runs; `run` and `value` can.
    pub fn client(&self) -> Client {
        Client::connect(&self.url(), NoTls).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = on_server(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        if !std::thread::panicking() {
            dropped.unwrap();
        }
    }
}

/// The server's maintenance database; the first call starts the server if need be.
pub fn server_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| match std::env::var("DATABASE_URL") {
        Ok(url) => url,
        Err(_) => {
            let url = start_project_server();
            blocking(|| drop_abandoned(&url));
            url
        }
    })
}

fn start_project_server() -> String {
    let output = Command::new(project().join("bin/postgres")).arg("start").output().unwrap();
    assert!(output.status.success(), "bin/postgres start: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Databases of test processes that were killed.
fn drop_abandoned(url: &str) {
    let mut client = Client::connect(url, NoTls).unwrap();
    let pattern = format!("{NAME_PREFIX}\\_%");
    for row in client.query("SELECT datname FROM pg_database WHERE datname LIKE $1", &[&pattern]).unwrap() {
        let name: String = row.get(0);
        let process = name.split('_').rev().nth(1).unwrap_or_default();
        if !PathBuf::from(format!("/proc/{process}")).exists() {
            let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

fn on_server(sql: &str) -> Result<(), postgres::Error> {
    blocking(|| Client::connect(server_url(), NoTls)?.batch_execute(sql))
}

fn with_database(url: &str, name: &str) -> String {
    let (before_query, query) = url.split_once('?').map_or((url, None), |(url, query)| (url, Some(query)));
    let authority_at = before_query.find("://").map_or(0, |at| at + 3);
    let end = before_query[authority_at..].find('/').map_or(before_query.len(), |at| authority_at + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &before_query[..end])
}

fn migrations() -> Vec<PathBuf> {
    let entries = fs::read_dir(project().join("migrations")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".up.sql"));
    paths.sort();
    paths
}
