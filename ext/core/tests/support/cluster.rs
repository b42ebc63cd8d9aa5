//! A Postgres cluster of a test's own, for what cannot be asked of a server that others use: TLS, pg_hba.conf, standbys.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

use super::{blocking, value, Scratch};

const START_LIMIT: Duration = Duration::from_secs(60);

/// Runs the server until its input ends, which it does when the test process ends, however that comes about; then removes all.
const KEEPER: &str = r#"
"$1/postgres" -D "$2/data" -p "$3" >"$2/log" 2>&1 </dev/null &
read -r _
kill -QUIT $! 2>/dev/null
wait $! 2>/dev/null
cd / && rm -rf "$2"
"#;

/// What sets a cluster apart.
#[derive(Default)]
pub struct ClusterSpec<'a> {
    /// Lines of postgresql.conf.
    pub settings: &'a str,
    /// The whole of pg_hba.conf; the superuser can always come in by socket.
    pub access: &'a str,
    /// Files to put into the data directory, readable by the server alone.
    pub files: &'a [(&'a str, &'a str)],
    /// SQL to run first, as superuser, piece by piece.
    pub sql: &'a [&'a str],
}

/// A running server; it ends, and its files go, with the value or the process.
pub struct Cluster {
    pub port: u16,
    directory: Scratch,
    keeper: Child,
}

impl Cluster {
    pub fn start(spec: &ClusterSpec<'_>) -> Self {
        let directory = Scratch::new();
        give_to_server(directory.path(), 0o700);
        initialise(directory.path(), spec);
        let port = free_port();
        let cluster = Self { port, keeper: keep(directory.path(), port), directory };
        blocking(|| {
            let mut client = cluster.wait_until_ready();
            spec.sql.iter().for_each(|sql| client.batch_execute(sql).unwrap());
        });
        cluster
    }

    /// The directory of its Unix-domain socket.
    pub fn socket_directory(&self) -> &str {
        self.directory.path().to_str().unwrap()
    }

    /// Makes the server read its files anew, and waits until new sessions see that.
    pub fn reload(&self) {
        let load_time = || value(&mut self.try_client().unwrap(), "SELECT pg_conf_load_time()");
        blocking(|| {
            let before = load_time();
            self.try_client().unwrap().batch_execute("SELECT pg_reload_conf()").unwrap();
            let started_at = Instant::now();
            while load_time() == before {
                assert!(started_at.elapsed() < START_LIMIT, "the server does not reload");
                std::thread::sleep(Duration::from_millis(5));
            }
        });
    }

    /// Puts a file for the server into the data directory.
    pub fn write(&self, name: &str, content: &str) {
        write_for_server(&self.directory.path().join("data").join(name), content);
    }

    fn try_client(&self) -> Result<Client, postgres::Error> {
        let mut config = postgres::Config::new();
        config.host_path(self.directory.path()).port(self.port).user("postgres").dbname("postgres").connect(NoTls)
    }

    fn wait_until_ready(&self) -> Client {
        let started_at = Instant::now();
        loop {
            match self.try_client() {
                Ok(client) => return client,
                Err(error) if started_at.elapsed() > START_LIMIT => {
                    let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
                    panic!("the cluster does not start: {error}\n{log}");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn initialise(directory: &Path, spec: &ClusterSpec<'_>) {
    let data = directory.join("data");
    let mut initdb = as_server(programs().join("initdb"));
    initdb.arg("--pgdata").arg(&data).args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
    let output = initdb.output().unwrap();
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));

    let settings = format!(
        "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = off\nshared_buffers = 16MB\n{}\n",
        directory.display(),
        spec.settings
    );
    write_for_server(&data.join("postgresql.auto.conf"), &settings);
    write_for_server(&data.join("pg_hba.conf"), &format!("local all postgres trust\n{}\n", spec.access));
    for (name, content) in spec.files {
        write_for_server(&data.join(name), content);
    }
}

fn keep(directory: &Path, port: u16) -> Child {
    as_server("sh")
        .args(["-c", KEEPER, "keeper"])
        .arg(programs())
        .arg(directory)
        .arg(port.to_string())
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Below the range from which the kernel takes ports for outgoing connections, so that none of those gets there first.
fn free_port() -> u16 {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 600).unwrap() * 15;
    loop {
        let port = 10_000 + (start + COUNT.fetch_add(1, Ordering::Relaxed)) % 9_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The newest server that is installed.
fn programs() -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let versions = installed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    match versions.max() {
        Some(version) => PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")),
        None => PathBuf::from(String::from_utf8(Command::new("pg_config").arg("--bindir").output().unwrap().stdout).unwrap().trim()),
    }
}

/// Postgres refuses to run as root.
fn as_server(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

fn write_for_server(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    give_to_server(path, 0o600);
}

fn give_to_server(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    if is_root() {
        let account = fs::read_to_string("/etc/passwd").unwrap();
        let postgres = account.lines().find(|line| line.starts_with("postgres:")).expect("the user postgres");
        let ids: Vec<u32> = postgres.split(':').skip(2).take(2).map(|id| id.parse().unwrap()).collect();
        std::os::unix::fs::chown(path, Some(ids[0]), Some(ids[1])).unwrap();
    }
}
