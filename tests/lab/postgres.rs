//! PostgreSQL: primaries and standbys with TLS, as an unprivileged user, on free ports of 127.0.0.1.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::certs::{Authority, Leaf};
use super::{Server, free_port, require};

/// The password of every role that logs in over TCP.
pub const PASSWORD: &str = "correct-horse-battery";

/// How a server is set up beyond the defaults: TLS with a private CA, TCP logins over TLS only,
/// a role `probe` with `pg_monitor` and a database `app`.
#[derive(Clone, Default)]
pub struct Setup {
    /// Lines of `postgresql.conf`.
    pub conf: String,
    /// Lines of `pg_hba.conf` that come before the default ones.
    pub hba: String,
    /// Whether pages have no checksums.
    pub no_checksums: bool,
}

impl Setup {
    /// With these lines of `postgresql.conf`.
    pub fn conf(conf: &str) -> Self {
        Self {
            conf: conf.to_owned(),
            ..Self::default()
        }
    }
}

/// A server in a directory of its own.
pub struct Postgres {
    /// Its port on 127.0.0.1.
    pub port: u16,
    server: Option<Server>,
    dir: TempDir,
}

impl Postgres {
    /// Starts a primary.
    pub fn start(setup: &Setup) -> Self {
        let dir = owned_dir();
        let template = template(setup.no_checksums).join("data");
        run_as_owner(dir.path(), "cp", &["-a", text(&template), "data"]);
        let mut postgres = Self {
            port: free_port(),
            server: None,
            dir,
        };
        postgres.configure(&setup.conf, &setup.hba);
        postgres.up();
        postgres
    }

    /// Starts a standby of this server that calls itself `name`.
    pub fn standby(&self, name: &str, conf: &str) -> Self {
        self.standby_with(name, conf, &[])
    }

    /// The same with further arguments of `pg_basebackup`, such as `-C -S slot`.
    pub fn standby_with(&self, name: &str, conf: &str, args: &[&str]) -> Self {
        let dir = owned_dir();
        let source = format!(
            "host={} port={} user=postgres application_name={name}",
            self.dir.path().display(),
            self.port
        );
        let mut all = vec![
            "-d",
            &source,
            "-D",
            "data",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        ];
        all.extend(args);
        run_as_owner(dir.path(), text(&bin("pg_basebackup")), &all);
        let mut postgres = Self {
            port: free_port(),
            server: None,
            dir,
        };
        postgres.configure(conf, "");
        postgres.up();
        postgres
    }

    /// The directory that holds `data` and the socket.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Replaces what [`Setup`] says; it holds from the next start or reload on.
    pub fn configure(&self, conf: &str, hba: &str) {
        let (chain, key) = authority()
            .issue(&Leaf::sound())
            .write(self.dir.path(), "server");
        let conf = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nfsync = off\nmax_wal_senders = 10\n\
             ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\nshared_buffers = 16MB\nlog_line_prefix = '%m [%p] '\n{conf}\n",
            self.port,
            self.dir.path().display(),
            chain.display(),
            key.display(),
        );
        let hba = format!(
            "{hba}\nlocal all all trust\nlocal replication all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        );
        std::fs::write(self.data().join("postgresql.conf"), conf).expect("write postgresql.conf");
        std::fs::write(self.data().join("pg_hba.conf"), hba).expect("write pg_hba.conf");
        own(&chain);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))
            .expect("chmod the key");
        own(&key);
    }

    /// Starts it (again) and waits until it takes connections.
    pub fn up(&mut self) {
        let postgres = bin("postgres");
        let mut args = as_owner_args();
        args.extend(["--pdeathsig", "KILL", "--", text(&postgres), "-D", "data"]);
        self.server = Some(Server::start(self.dir.path(), "postgres", "setpriv", &args));
        let begun = Instant::now();
        while !self.try_sql("postgres", "select 1").status.success() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "PostgreSQL does not start:\n{}",
                self.log()
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// Stops it as a crash does.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.signal("QUIT");
            server.wait(Duration::from_secs(10));
        }
    }

    /// Stops it and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.up();
    }

    /// Reads the configuration again.
    pub fn reload(&self) {
        self.sql("select pg_reload_conf()");
        sleep(Duration::from_millis(100));
    }

    /// Ends recovery.
    pub fn promote(&self) {
        self.sql("select pg_promote()");
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }

    /// Sends the postmaster a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        if let Some(server) = &self.server {
            server.signal(name);
        }
    }

    /// Runs SQL in `app` as superuser; the output without headers, columns separated by `|`.
    pub fn sql(&self, sql: &str) -> String {
        self.sql_in("app", sql)
    }

    /// The same in another database.
    pub fn sql_in(&self, database: &str, sql: &str) -> String {
        let output = self.try_sql(database, sql);
        assert!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The same, whatever comes of it.
    pub fn try_sql(&self, database: &str, sql: &str) -> Output {
        self.psql(database, sql).output().expect("run psql")
    }

    /// A client that runs SQL as superuser, not started yet.
    pub fn psql(&self, database: &str, sql: &str) -> Command {
        let mut command = Command::new(bin("psql"));
        command
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
            ])
            .args(["-h", text(self.dir.path()), "-p", &self.port.to_string()])
            .args(["-d", database, "-c", sql])
            .env_clear();
        command
    }

    /// Starts a client that stores WAL under a name, in this server's directory.
    pub fn pg_receivewal(&self, name: &str) -> std::process::Child {
        let source = format!(
            "host={} port={} user=postgres application_name={name}",
            self.dir.path().display(),
            self.port
        );
        let dir = self.dir.path().join("received");
        std::fs::create_dir(&dir).expect("make a directory");
        Command::new(bin("pg_receivewal"))
            .args([
                "-d",
                &source,
                "-D",
                text(&dir),
                "--synchronous",
                "--no-loop",
            ])
            .spawn()
            .expect("start pg_receivewal")
    }

    /// Waits until a query gives this output; panics after 20 s.
    pub fn wait_for(&self, sql: &str, wanted: &str) {
        let begun = Instant::now();
        loop {
            let seen = self.sql(sql);
            if seen == wanted {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{sql}: {seen:?} is not {wanted:?}\n{}",
                self.log()
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// The connection string of a role for `app`, with `verify-full`.
    pub fn dsn(&self, user: &str) -> String {
        format!(
            "host=127.0.0.1 port={} user={user} password={PASSWORD} dbname=app sslmode=verify-full",
            self.port
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The CA under which every server's certificate is.
pub fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::root("PostgreSQL lab"))
}

/// Makes something that outlives the test that asks for it first. A server is killed by the kernel
/// when the thread that started it ends, so that thread waits for ever.
pub fn shared<T: Send + Sync>(
    cell: &'static OnceLock<T>,
    make: impl FnOnce() -> T + Send + 'static,
) -> &'static T {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    if cell.get().is_none() {
        let (done, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let made = make();
            done.send(cell.set(made).is_ok()).ok();
            loop {
                std::thread::park();
            }
        });
        wait.recv().expect("the shared server starts");
    }
    cell.get().expect("it was made")
}

/// A data directory with the role and the database, made once per process.
fn template(no_checksums: bool) -> &'static Path {
    static TEMPLATES: [OnceLock<TempDir>; 2] = [OnceLock::new(), OnceLock::new()];
    TEMPLATES[usize::from(no_checksums)]
        .get_or_init(|| {
            let dir = owned_dir();
            let mut args = vec![
                "-D",
                "data",
                "-A",
                "trust",
                "-U",
                "postgres",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C",
            ];
            if !no_checksums {
                args.push("--data-checksums");
            }
            run_as_owner(dir.path(), text(&bin("initdb")), &args);
            let mut postgres = Postgres {
                port: free_port(),
                server: None,
                dir,
            };
            postgres.configure("", "");
            postgres.up();
            let roles = format!(
                "create role probe login password '{PASSWORD}'; grant pg_monitor to probe;"
            );
            postgres.sql_in("postgres", &roles);
            postgres.sql_in("postgres", "create database app");
            if let Some(server) = postgres.server.take() {
                server.signal("INT");
                server.wait(Duration::from_secs(20));
            }
            // The directory stays; the server that filled it is gone.
            std::mem::replace(
                &mut postgres.dir,
                TempDir::new().expect("temporary directory"),
            )
        })
        .path()
}

pub(super) fn bin(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut versions: Vec<PathBuf> = versions.flatten().map(|entry| entry.path()).collect();
    versions.sort();
    versions.last().map_or_else(
        || require(program),
        |version| version.join("bin").join(program),
    )
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// PostgreSQL refuses to run as root.
pub(super) fn as_owner_args() -> Vec<&'static str> {
    if is_root() {
        vec!["--reuid=postgres", "--regid=postgres", "--init-groups"]
    } else {
        Vec::new()
    }
}

fn run_as_owner(dir: &Path, program: &str, args: &[&str]) {
    let output = Command::new(require("setpriv"))
        .args(as_owner_args())
        .args(["--", program])
        .args(args)
        .current_dir(dir)
        .output()
        .expect("run setpriv");
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

pub(super) fn owned_dir() -> TempDir {
    let dir = TempDir::new().expect("temporary directory");
    own(dir.path());
    dir
}

pub(super) fn own(path: &Path) {
    if is_root() {
        let status = Command::new(require("chown"))
            .args(["postgres:postgres", text(path)])
            .status();
        assert!(
            status.expect("run chown").success(),
            "chown {}",
            path.display()
        );
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
