//! Patroni with one member and its own consensus (Raft), managing a PostgreSQL of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::postgres::{as_owner_args, bin, own, owned_dir};
use super::{Server, free_port};

/// A member in a directory of its own.
pub struct Patroni {
    /// The port of its REST API on 127.0.0.1.
    pub port: u16,
    server: Option<Server>,
    _dir: TempDir,
}

impl Patroni {
    /// Starts it and waits until it leads.
    pub fn start() -> Self {
        let dir = owned_dir();
        let port = free_port();
        let root = dir.path().display();
        let (raft, postgres) = (free_port(), free_port());
        let bin = bin("postgres");
        let bin = bin.parent().expect("a directory").display();
        let config = format!(
            "scope: lab\nname: member1\n\
             restapi: {{ listen: \"127.0.0.1:{port}\", connect_address: \"127.0.0.1:{port}\" }}\n\
             raft: {{ data_dir: {root}/raft, self_addr: \"127.0.0.1:{raft}\" }}\n\
             bootstrap:\n  dcs: {{ ttl: 20, loop_wait: 1, retry_timeout: 5 }}\n  initdb: [ {{ encoding: UTF8 }}, data-checksums, no-sync ]\n\
             postgresql:\n  listen: 127.0.0.1:{postgres}\n  connect_address: 127.0.0.1:{postgres}\n  data_dir: {root}/data\n\
             \x20 bin_dir: {bin}\n  pgpass: {root}/pgpass\n\
             \x20 authentication: {{ superuser: {{ username: postgres, password: x }}, replication: {{ username: repl, password: x }} }}\n\
             \x20 parameters: {{ unix_socket_directories: {root}, fsync: \"off\" }}\n"
        );
        let file = dir.path().join("patroni.yml");
        std::fs::write(&file, config).expect("write patroni.yml");
        own(&file);
        let mut args = as_owner_args();
        args.extend(["--pdeathsig", "TERM", "--", "patroni", "patroni.yml"]);
        let server = Server::start(dir.path(), "patroni", "setpriv", &args);
        let patroni = Self {
            port,
            server: Some(server),
            _dir: dir,
        };
        patroni.wait_for("\"role\": \"leader\", \"state\": \"running\"");
        patroni
    }

    /// Waits until `GET /cluster` holds this text; panics with its log after 30 s.
    pub fn wait_for(&self, text: &str) {
        let begun = Instant::now();
        while !self.request("GET /cluster", "").contains(text) {
            let log = self.server.as_ref().map(Server::log).unwrap_or_default();
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "no {text}:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Asks its REST API; the answer with its head, empty where there is none.
    pub fn request(&self, line: &str, body: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return String::new();
        };
        let request = format!(
            "{line} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok();
        answer
    }

    /// Stops it and the PostgreSQL that it manages.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.signal("TERM");
            server.wait(Duration::from_secs(20));
        }
    }
}

impl Drop for Patroni {
    fn drop(&mut self) {
        self.stop();
    }
}
