//! Prometheus with generated rules and scrape configurations, and `node_exporter` as something to scrape.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::{Server, free_port, require};

/// What a Prometheus is to be.
#[derive(Clone, Default)]
pub struct Prometheus {
    rules: String,
    scrapes: String,
    alertmanagers: Vec<u16>,
    flags: Vec<String>,
    prefix: String,
    clock: Option<&'static str>,
}

impl Prometheus {
    /// One that scrapes itself, has no rules, scrapes twice a second and evaluates every second.
    pub fn new() -> Self {
        Self::default()
    }

    /// Groups of rules, YAML from `- name:` on.
    #[must_use]
    pub fn rules(mut self, groups: &str) -> Self {
        self.rules = format!("groups:\n{groups}\n");
        self
    }

    /// More scrape configurations, YAML from `- job_name:` on.
    #[must_use]
    pub fn scrapes(mut self, configs: &str) -> Self {
        self.scrapes += configs;
        self.scrapes.push('\n');
        self
    }

    /// Sends alerts to a port of 127.0.0.1.
    #[must_use]
    pub fn alertmanager(mut self, port: u16) -> Self {
        self.alertmanagers.push(port);
        self
    }

    /// With one more flag.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Below a path such as `/base`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// With a clock that is off, as `faketime` writes it: `-1h`.
    #[must_use]
    pub fn clock(mut self, offset: &'static str) -> Self {
        self.clock = Some(offset);
        self
    }

    /// Starts it and waits until it has scraped itself. `LAB_PROMETHEUS` names another binary than that of
    /// the distribution, to see another version.
    pub fn start(self) -> RunningPrometheus {
        let dir = TempDir::new().expect("temporary directory");
        let port = free_port();
        self.write(dir.path(), port);
        let program = std::env::var_os("LAB_PROMETHEUS").map(PathBuf::from);
        let program = program.unwrap_or_else(|| require("prometheus"));
        let mut args: Vec<String> = Vec::new();
        let mut command = program.display().to_string();
        if let Some(offset) = self.clock {
            args.extend(["-f".to_owned(), offset.to_owned(), command]);
            command = String::from("faketime");
        }
        args.extend([
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=data".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
            format!("--web.external-url=http://127.0.0.1:{port}{}/", self.prefix),
            "--web.enable-lifecycle".to_owned(),
            "--web.enable-admin-api".to_owned(),
        ]);
        args.extend(self.flags.iter().cloned());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut server = Server::start_path(dir.path(), "prometheus", Path::new(&command), &args);
        server.wait_for(port);
        let running = RunningPrometheus {
            port,
            config: self,
            server,
            dir,
        };
        running.wait_for_query("up{job=\"self\"} == 1");
        running
    }

    fn write(&self, dir: &Path, port: u16) {
        let alertmanagers: Vec<String> = self
            .alertmanagers
            .iter()
            .map(|port| format!("'127.0.0.1:{port}'"))
            .collect();
        let config = format!(
            "global: {{ scrape_interval: 500ms, evaluation_interval: 1s }}\nrule_files: [rules.yml]\n\
             alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [{}] }}] }}] }}\n\
             scrape_configs:\n- job_name: self\n  metrics_path: {}/metrics\n  static_configs: [{{ targets: ['127.0.0.1:{port}'] }}]\n{}",
            alertmanagers.join(", "),
            self.prefix,
            self.scrapes
        );
        std::fs::write(dir.join("prometheus.yml"), config).expect("write prometheus.yml");
        let rules = if self.rules.is_empty() {
            "groups: []\n"
        } else {
            &self.rules
        };
        std::fs::write(dir.join("rules.yml"), rules).expect("write rules.yml");
    }
}

/// A running Prometheus; it stops when dropped.
pub struct RunningPrometheus {
    /// The port on 127.0.0.1.
    pub port: u16,
    config: Prometheus,
    server: Server,
    dir: TempDir,
}

impl RunningPrometheus {
    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.config.prefix)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Replaces its rules by `text` as it is, and asks it to reload.
    pub fn reload_rules(&self, text: &str) {
        std::fs::write(self.dir.path().join("rules.yml"), text).expect("write rules.yml");
        self.request("POST", "/-/reload");
    }

    /// Waits until an instant query has a result.
    pub fn wait_for_query(&self, promql: &str) {
        let query: String = url::form_urlencoded::byte_serialize(promql.as_bytes()).collect();
        self.wait(&format!("/api/v1/query?query={query}"), |json| {
            let result = &json["data"]["result"];
            result.as_array().is_some_and(|result| !result.is_empty())
        });
    }

    /// Waits until every rule has been evaluated.
    pub fn wait_for_rules(&self) {
        self.wait("/api/v1/rules", |json| {
            let groups = json["data"]["groups"].as_array();
            groups.is_some_and(|groups| {
                let mut rules = groups.iter().filter_map(|group| group["rules"].as_array());
                !groups.is_empty()
                    && rules.all(|rules| rules.iter().all(|rule| rule["health"] != "unknown"))
            })
        });
    }

    /// Waits until what it answers to a GET satisfies `ready`; panics with its log after 30 s.
    pub fn wait(&self, path: &str, ready: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        loop {
            let answer = self.request("GET", path);
            let json: Value = serde_json::from_str(&answer).unwrap_or_default();
            if ready(&json) {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "not ready at {path}: {answer}\n{}",
                self.log()
            );
            sleep(Duration::from_millis(50));
        }
    }

    fn request(&self, method: &str, path: &str) -> String {
        http(self.port, method, &format!("{}{path}", self.config.prefix))
    }
}

/// The body of an answer; empty where there is none.
fn http(port: u16, method: &str, path: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let request =
            format!("{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).ok();
        stream.read_to_string(&mut answer).ok();
    }
    answer
        .split_once("\r\n\r\n")
        .map_or_else(String::new, |(_, body)| body.to_owned())
}

/// A running `node_exporter`; it stops when dropped.
pub struct NodeExporter {
    /// The port on 127.0.0.1.
    pub port: u16,
    _server: Server,
    _dir: TempDir,
}

impl NodeExporter {
    /// Starts it.
    pub fn start() -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let port = free_port();
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        let args = [
            "--collector.disable-defaults",
            "--collector.loadavg",
            &listen,
        ];
        let mut server = Server::start(
            dir.path(),
            "node_exporter",
            "prometheus-node-exporter",
            &args,
        );
        server.wait_for(port);
        Self {
            port,
            _server: server,
            _dir: dir,
        }
    }
}
