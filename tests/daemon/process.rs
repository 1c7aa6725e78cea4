//! The daemon as a child process.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Daemon {
    dir: Arc<TempDir>,
    child: Child,
    log: Arc<Mutex<String>>,
    url: String,
}

const SERVER: &str = "[server]\nlisten = \"127.0.0.1:0\"\n";

impl Daemon {
    pub fn start(config: &str) -> Self {
        let dir = Arc::new(TempDir::new().expect("a directory"));
        Self::start_in(dir, config, &[])
    }

    pub fn start_in(dir: Arc<TempDir>, config: &str, env: &[(&str, &str)]) -> Self {
        write(dir.path(), config);
        let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
        command
            .current_dir(dir.path())
            .env_clear()
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("start the daemon");
        let stderr = child.stderr.take().expect("its log");
        let log = Arc::<Mutex<String>>::default();
        let into = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stderr);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                into.lock().expect("the log").push_str(&line);
                line.clear();
            }
        });
        let mut daemon = Self {
            dir,
            child,
            log,
            url: String::new(),
        };
        daemon.url = daemon.until("it is ready", |daemon| {
            let log = daemon.log();
            let at = log.find("url=\"http://")? + 5;
            Some(log[at..].split('"').next()?.to_owned())
        });
        daemon
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn dir(&self) -> Arc<TempDir> {
        Arc::clone(&self.dir)
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// Writes another configuration in the place of the one in use.
    pub fn configure(&self, config: &str) {
        write(self.dir.path(), config);
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status();
        assert!(status.expect("kill").success(), "kill {name}");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        get(&format!("{}{path}", self.url))
    }

    pub fn verdict(&self) -> Value {
        let (status, body) = self.get("/api/v1/verdict");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("a verdict")
    }

    pub fn item(&self, id: &str) -> Value {
        find(&self.verdict()["items"], id)
    }

    pub fn probe(&self, id: &str) -> Value {
        find(&self.verdict()["probes"], id)
    }

    /// Waits until an item has that result.
    pub fn until_item(&self, id: &str, result: &str) -> Value {
        self.until(&format!("{id} is {result}"), |daemon| {
            let item = daemon.item(id);
            (item["result"] == result).then_some(item)
        })
    }

    pub fn until<T>(&self, what: &str, mut done: impl FnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(done) = done(self) {
                return done;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "not in time: {what}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(40));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn write(dir: &Path, config: &str) {
    let path = dir.join("probes.toml");
    let temporary: PathBuf = dir.join("probes.toml.new");
    std::fs::write(&temporary, format!("{SERVER}{config}")).expect("write");
    std::fs::rename(temporary, path).expect("rename");
}

fn find(list: &Value, id: &str) -> Value {
    let list = list.as_array().expect("a list");
    let found = list.iter().find(|one| one["id"] == id);
    found.unwrap_or_else(|| panic!("no {id}")).clone()
}

/// GET over a connection of its own.
pub fn get(url: &str) -> (u16, String) {
    let rest = url.strip_prefix("http://").expect("http");
    let (authority, path) = rest.split_once('/').expect("a path");
    let mut stream = std::net::TcpStream::connect(authority).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!("GET /{path} HTTP/1.0\r\nhost: {authority}\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("send");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}
