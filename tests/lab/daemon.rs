//! The real daemon as a child process, and a plain client that says exactly what a test wants.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::{Server, free_port};

/// How long a daemon may take for what a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon; it is killed when dropped.
pub struct Daemon {
    /// The port of its API on 127.0.0.1.
    pub port: u16,
    server: Server,
    dir: TempDir,
}

impl Daemon {
    /// Starts one with `config`, to which `[server]` is added, with `server` in it, and waits until it
    /// is ready.
    pub fn start(server: &str, config: &str) -> Self {
        Self::start_with(server, config, &[])
    }

    /// The same with files beside the configuration.
    pub fn start_with(server: &str, config: &str, files: &[(&str, &str)]) -> Self {
        let mut daemon = Self::spawn(server, config, files);
        daemon.server.wait_for(daemon.port);
        if !server.contains("cert_file") {
            daemon.wait_for("/healthz", |answer| answer.status == 200);
        }
        daemon
    }

    fn spawn(server: &str, config: &str, files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let port = free_port();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).expect("write a file");
        }
        let listen = format!("[server]\nlisten = \"127.0.0.1:{port}\"\n{server}\n");
        let path = dir.path().join("probes.toml");
        std::fs::write(&path, listen + config).expect("write the configuration");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_probe"));
        let args = ["--config", "probes.toml", "-v"];
        let server = Server::start_path(dir.path(), "probe", &program, &args);
        Self { port, server, dir }
    }

    /// The directory of its configuration.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// A GET of a local user.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    /// A request of a local user with more headers.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            request += &format!("host: 127.0.0.1:{}\r\n", self.port);
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        self.raw(&(request + "\r\n"))
    }

    /// Sends text as it is and reads until the connection ends.
    pub fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).ok();
        let mut answer = Vec::new();
        // A connection that is reset has given what it gave.
        stream.read_to_end(&mut answer).ok();
        Answer::parse(&answer)
    }

    /// A connection that is given up after a while.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Waits until a GET is answered as it should be.
    pub fn wait_for(&self, path: &str, ready: impl Fn(&Answer) -> bool) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.get(path);
            if ready(&answer) {
                return answer;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{path} stays {} {}\n{}",
                answer.status,
                answer.text(),
                self.log()
            );
            sleep(Duration::from_millis(50));
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status; 0 where there was none.
    pub status: u16,
    /// The head.
    pub head: String,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            return Self {
                status: 0,
                head: String::from_utf8_lossy(bytes).into_owned(),
                body: Vec::new(),
            };
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let rest = &bytes[end + 4..];
        let body = if head.contains("transfer-encoding: chunked") {
            unchunked(rest)
        } else {
            rest.to_vec()
        };
        Self {
            status: status.unwrap_or(0),
            head,
            body,
        }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {} {}", self.status, self.text()))
    }

    /// The code of an error.
    pub fn code(&self) -> String {
        let json = self.json();
        assert!(json["error"]["message"].is_string(), "{json}");
        json["error"]["code"].as_str().expect("a code").to_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        let from = end + 2;
        if size == 0 || rest.len() < from + size + 2 {
            break;
        }
        body.extend_from_slice(&rest[from..from + size]);
        rest = &rest[from + size + 2..];
    }
    body
}
