//! A real Loki. No distribution packages it and a build takes ten minutes, so that tests that start
//! it are run by name alone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tempfile::TempDir;

use super::process::{Server, free_port};

/// A running Loki with tenants; it stops when dropped.
pub struct Loki {
    /// The port of its API.
    pub port: u16,
    _server: Server,
    _dir: TempDir,
}

impl Loki {
    /// Starts it and waits until it is ready, which takes 16 s.
    pub fn start() -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let (port, grpc) = (free_port(), free_port());
        let config = json!({
            "auth_enabled": true,
            "analytics": {"reporting_enabled": false},
            "server": {
                "http_listen_address": "127.0.0.1", "http_listen_port": port,
                "grpc_listen_address": "127.0.0.1", "grpc_listen_port": grpc,
            },
            "common": {
                "instance_addr": "127.0.0.1", "path_prefix": dir.path(), "replication_factor": 1,
                "ring": {"kvstore": {"store": "inmemory"}},
                "storage": {"filesystem": {
                    "chunks_directory": dir.path().join("chunks"), "rules_directory": dir.path().join("rules"),
                }},
            },
            "schema_config": {"configs": [{
                "from": "2024-01-01", "store": "tsdb", "object_store": "filesystem", "schema": "v13",
                "index": {"prefix": "index_", "period": "24h"},
            }]},
        });
        std::fs::write(dir.path().join("loki.yml"), config.to_string()).expect("write loki.yml");
        let mut server = Server::start(dir.path(), "loki", "loki", &["-config.file=loki.yml"]);
        server.wait_for(port);
        Self {
            port,
            _server: server,
            _dir: dir,
        }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until it takes lines in.
    pub fn wait_until_ready(&self) {
        let begun = Instant::now();
        while !self.ask("GET", "/ready", "").starts_with("HTTP/1.1 200") {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "Loki is not ready"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Puts in a line of an app, of the tenant `blue`, that is so old.
    pub fn push(&self, app: &str, age: Duration) {
        let at = (SystemTime::now() - age)
            .duration_since(UNIX_EPOCH)
            .expect("a time");
        let line = json!([at.as_nanos().to_string(), "hello", {"trace": "x"}]);
        let body = json!({"streams": [{"stream": {"app": app}, "values": [line]}]});
        let answer = self.ask("POST", "/loki/api/v1/push", &body.to_string());
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-scope-orgid: blue\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}
