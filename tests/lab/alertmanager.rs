//! Alertmanagers, alone and in a cluster.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Server, free_port};

/// A running Alertmanager; it stops when dropped.
pub struct Alertmanager {
    dir: TempDir,
    /// The port of its API.
    pub port: u16,
    server: Server,
}

impl Alertmanager {
    /// One without a cluster.
    pub fn start(config: &str) -> Self {
        Self::spawn(config, &["--cluster.listen-address=".to_owned()])
    }

    /// One whose API lies below a path.
    pub fn start_below(prefix: &str, config: &str) -> Self {
        let prefix = format!("--web.route-prefix={prefix}");
        Self::spawn(config, &["--cluster.listen-address=".to_owned(), prefix])
    }

    /// A cluster of as many as there are configurations, which know one another.
    pub fn cluster(configs: &[&str]) -> Vec<Self> {
        let ports: Vec<u16> = configs.iter().map(|_| free_port()).collect();
        let members: Vec<Self> = configs
            .iter()
            .zip(&ports)
            .map(|(config, port)| {
                let mut args = vec![
                    format!("--cluster.listen-address=127.0.0.1:{port}"),
                    "--cluster.gossip-interval=20ms".to_owned(),
                    "--cluster.probe-timeout=100ms".to_owned(),
                    "--cluster.probe-interval=200ms".to_owned(),
                ];
                let others = ports.iter().filter(|other| *other != port);
                args.extend(others.map(|other| format!("--cluster.peer=127.0.0.1:{other}")));
                Self::spawn(config, &args)
            })
            .collect();
        for member in &members {
            member.wait_until("knows all members", |status| {
                let peers = status["cluster"]["peers"].as_array().map_or(0, Vec::len);
                status["cluster"]["status"] == "ready" && peers == configs.len()
            });
        }
        members
    }

    fn spawn(config: &str, args: &[String]) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let port = free_port();
        write(dir.path(), config);
        let own = [
            "--config.file=am.yml".to_owned(),
            "--storage.path=data".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let args: Vec<&str> = own.iter().chain(args).map(String::as_str).collect();
        let name = format!("alertmanager-{port}");
        let mut server = Server::start(dir.path(), &name, "prometheus-alertmanager", &args);
        server.wait_for(port);
        Self { dir, port, server }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Writes another configuration and has it reloaded; whether that worked.
    pub fn reload(&self, config: &str) -> bool {
        write(self.dir.path(), config);
        let answer = self.ask("POST", "/-/reload", "");
        answer.starts_with("HTTP/1.1 200")
    }

    /// Posts an alert that fires for ten minutes.
    pub fn fire(&self, labels: &Value) {
        let ends_at = std::time::SystemTime::now() + std::time::Duration::from_secs(600);
        let ends_at = jiff::Timestamp::try_from(ends_at)
            .expect("a time")
            .to_string();
        let alert = json!([{ "labels": labels, "endsAt": ends_at }]);
        let answer = self.ask("POST", "/api/v2/alerts", &alert.to_string());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Silences what these matchers match, for ten minutes; the id.
    pub fn silence(&self, matchers: &Value) -> String {
        let now = std::time::SystemTime::now();
        let time = |at| jiff::Timestamp::try_from(at).expect("a time").to_string();
        let silence = json!({
            "matchers": matchers, "createdBy": "test", "comment": "test", "startsAt": time(now),
            "endsAt": time(now + std::time::Duration::from_secs(600)),
        });
        let answer = self.ask("POST", "/api/v2/silences", &silence.to_string());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        body(&answer)["silenceID"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    /// All alerts it lists.
    pub fn alerts(&self) -> Vec<Value> {
        let alerts = body(&self.ask("GET", "/api/v2/alerts", ""));
        alerts.as_array().expect("a list of alerts").clone()
    }

    fn wait_until(&self, what: &str, ready: impl Fn(&Value) -> bool) {
        let begun = std::time::Instant::now();
        loop {
            let status = body(&self.ask("GET", "/api/v2/status", ""));
            if ready(&status) {
                return;
            }
            assert!(
                begun.elapsed().as_secs() < 30,
                "not: {what}: {status:#}\n{}",
                self.server.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

fn write(dir: &Path, config: &str) {
    std::fs::write(dir.join("am.yml"), config).expect("write the configuration");
}

/// The JSON of an answer, chunked or not.
fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let start = body.find(['{', '[']).expect("JSON");
    let mut values = serde_json::Deserializer::from_str(&body[start..]).into_iter();
    values.next().expect("JSON").expect("JSON")
}
