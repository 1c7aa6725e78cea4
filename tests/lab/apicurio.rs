//! Apicurio Registry, which speaks the REST interface of Confluent's Schema Registry; started once and
//! shared by the tests of a run. It keeps its schemas in memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::kafka::{fetched, fresh_directory, java};
use super::process::{Server, free_port};

/// Where the interface begins.
const BASE: &str = "/apis/ccompat/v7";

static REGISTRY: LazyLock<Apicurio> = LazyLock::new(Apicurio::start);
static GLOBAL_LEVEL: Mutex<()> = Mutex::new(());

/// A running registry.
pub struct Apicurio {
    /// The port on 127.0.0.1.
    pub port: u16,
    server: Server,
}

/// The level that subjects without one of their own inherit, for one test alone. It is `NONE`, this
/// registry's default, again when this is dropped.
pub struct GlobalLevel {
    _alone: MutexGuard<'static, ()>,
}

impl Drop for GlobalLevel {
    fn drop(&mut self) {
        Apicurio::shared().put_level("/config", "NONE");
    }
}

impl Apicurio {
    /// The registry.
    pub fn shared() -> &'static Self {
        &REGISTRY
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{BASE}", self.port)
    }

    /// Registers an Avro schema as the subject's newest version, and returns its id.
    pub fn register(&self, subject: &str, schema: &str) -> u32 {
        self.register_with(subject, schema, &[])
    }

    /// The same for a schema that refers to others: name, subject and version of each.
    pub fn register_with(
        &self,
        subject: &str,
        schema: &str,
        references: &[(&str, &str, u32)],
    ) -> u32 {
        let references: Vec<Value> = (references.iter())
            .map(|(name, subject, version)| {
                json!({ "name": name, "subject": subject, "version": version })
            })
            .collect();
        let body = json!({ "schema": schema, "references": references });
        let path = format!("/subjects/{subject}/versions");
        let (status, answer) = self.request("POST", &path, &body);
        assert_eq!(status, 200, "{answer}");
        let id = answer["id"].as_u64().expect("an id");
        u32::try_from(id).expect("an id of 32 bits")
    }

    /// Sets a subject's own level.
    pub fn set_level(&self, subject: &str, level: &str) {
        self.put_level(&format!("/config/{subject}"), level);
    }

    /// Sets the level that others inherit.
    pub fn global_level(&self, level: &str) -> GlobalLevel {
        let alone = GLOBAL_LEVEL.lock().unwrap_or_else(PoisonError::into_inner);
        self.put_level("/config", level);
        GlobalLevel { _alone: alone }
    }

    fn put_level(&self, path: &str, level: &str) {
        let (status, answer) = self.request("PUT", path, &json!({ "compatibility": level }));
        // It has no rule to remove: there is no level yet.
        let is_none = status == 404 && level == "NONE";
        assert!(status == 200 || is_none, "{status}: {answer}");
    }

    fn start() -> Self {
        let dir = fresh_directory("apicurio");
        let port = free_port();
        let product = fetched("apicurio");
        let runner = std::fs::read_dir(&product)
            .expect("list the registry")
            .flatten()
            .map(|entry| entry.path())
            .find(|path| is_runner(path))
            .expect("a runner");
        let args = [
            "-Dquarkus.http.host=127.0.0.1",
            &format!("-Dquarkus.http.port={port}"),
            "-jar",
            runner.to_str().expect("a path in UTF-8"),
        ];
        let registry = Self {
            port,
            server: java(&dir, "apicurio", &args),
        };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err()
            || registry.request("GET", "/subjects", &Value::Null).0 != 200
        {
            assert!(
                begun.elapsed() < Duration::from_secs(90),
                "the registry does not answer:\n{}",
                registry.server.log()
            );
            sleep(Duration::from_millis(100));
        }
        registry
    }

    /// Status and body of one request.
    fn request(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        write!(
            stream,
            "{method} {BASE}{path} HTTP/1.0\r\nHost: registry\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let json = serde_json::from_str(body).unwrap_or(Value::String(body.to_owned()));
        (status.expect("a status"), json)
    }
}

fn is_runner(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-runner.jar")
}
