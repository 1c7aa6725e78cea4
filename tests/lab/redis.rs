//! Redis: a server, its replicas, sentinels that watch it, a cluster of six, all from the
//! distribution's package.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::certs::{Authority, Leaf};
use super::process::{Server, free_port, require};

/// A running redis-server; it stops when dropped.
pub struct Redis {
    /// The port for plaintext, or the one for TLS where it has no other.
    pub port: u16,
    dir: TempDir,
    server: Server,
    cli_args: Vec<String>,
}

impl Redis {
    /// A server on a free port that saves nothing, with further arguments: `--requirepass pw`.
    pub fn start(args: &str) -> Self {
        Self::start_at(free_port(), args)
    }

    /// The same on a port of one's own.
    pub fn start_at(port: u16, args: &str) -> Self {
        let words = args.split_ascii_whitespace().collect::<Vec<_>>();
        Self::start_with(port, &words)
    }

    /// The same with arguments that hold spaces.
    pub fn start_with(port: u16, args: &[&str]) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        std::fs::create_dir(dir.path().join("data")).expect("create the data directory");
        let text = port.to_string();
        let mut all = vec!["--port", &text, "--bind", "127.0.0.1", "--dir", "data"];
        all.extend(["--repl-diskless-sync-delay", "0", "--save", ""]);
        all.extend(args);
        // A signal that is ignored stays so: past a limit of file size its writes then fail like on
        // a full disk.
        let shell = [
            "-c",
            "trap '' XFSZ; exec redis-server \"$@\"",
            "redis-server",
        ];
        let mut server = Server::start(dir.path(), "redis", "sh", &[&shell[..], &all].concat());
        server.wait_for_log("Ready to accept connections");
        Self {
            port,
            dir,
            server,
            cli_args: Vec::new(),
        }
    }

    /// A server that speaks TLS alone, or with `plaintext` also that. Returns the port for TLS and
    /// the files of a client: `ca.pem`, `client.pem` and `client.key`.
    pub fn start_tls(plaintext: bool, args: &str) -> (Self, u16, [(&'static str, String); 3]) {
        let files = TempDir::new().expect("temporary directory");
        let authority = Authority::root("redis");
        let (chain, key) = authority.issue(&Leaf::sound()).write(files.path(), "redis");
        let client = authority.issue(&Leaf::sound());
        let ca = files.path().join("ca.pem");
        std::fs::write(&ca, authority.pem()).expect("write the CA");
        let (port, tls_port) = (free_port(), free_port());
        let shown = |path: &Path| path.display().to_string();
        let args = format!(
            "--tls-port {tls_port} --tls-cert-file {} --tls-key-file {} --tls-ca-cert-file {} --tls-auth-clients no {args}",
            shown(&chain),
            shown(&key),
            shown(&ca),
        );
        let server = Self::start_at(if plaintext { port } else { 0 }, &args);
        let files = [
            ("ca.pem", authority.pem()),
            ("client.pem", client.chain),
            ("client.key", client.key),
        ];
        (server, tls_port, files)
    }

    /// A replica of `primary`, linked.
    pub fn replica_of(primary: &Self, args: &str) -> Self {
        let replica = Self::start(&format!("--replicaof 127.0.0.1 {} {args}", primary.port));
        let mut replica = replica;
        replica.cli_args.clone_from(&primary.cli_args);
        replica.wait_for("info replication", "master_link_status:up");
        // Writes flow once it has acknowledged its first copy, which takes up to a second.
        primary.wait_for("set lab 1", "OK");
        replica.wait_for("exists lab", "1");
        primary.cli("del lab");
        replica.wait_for("exists lab", "0");
        replica
    }

    /// Lets `cli` log in.
    #[must_use]
    pub fn with_login(mut self, user: &str, password: &str) -> Self {
        self.cli_args = ["--no-auth-warning", "--user", user, "--pass", password]
            .map(str::to_owned)
            .to_vec();
        self
    }

    /// `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// What `redis-cli` prints for a command, words separated by spaces.
    pub fn cli(&self, command: &str) -> String {
        self.cli_words(&command.split_ascii_whitespace().collect::<Vec<_>>())
    }

    /// The same with words that hold spaces.
    pub fn cli_words(&self, words: &[&str]) -> String {
        let output = Command::new(require("redis-cli"))
            .args(["-p", &self.port.to_string()])
            .args(&self.cli_args)
            .args(words)
            .output()
            .expect("run redis-cli");
        String::from_utf8_lossy(&output.stdout).replace('\r', "")
    }

    /// Waits until the output of a command holds `text`; panics after 20 s.
    pub fn wait_for(&self, command: &str, text: &str) {
        let begun = Instant::now();
        loop {
            let output = self.cli(command);
            if output.contains(text) {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{command}: no {text:?} in {output}\n{}",
                self.server.log()
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// Stops the process without a word to anybody.
    pub fn freeze(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets no file of it grow beyond so many bytes.
    pub fn limit_files(&self, bytes: u32) {
        let status = Command::new(require("prlimit"))
            .args([
                "--pid",
                &self.pid().to_string(),
                &format!("--fsize={bytes}"),
            ])
            .status()
            .expect("run prlimit");
        assert!(status.success(), "prlimit");
    }

    /// Takes away the directory into which it saves.
    pub fn remove_data_dir(&self) {
        std::fs::remove_dir_all(self.dir.path().join("data")).expect("remove the data directory");
    }
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .expect("run kill");
    assert!(status.success(), "kill -{name} {pid}");
}

/// A running sentinel; it stops when dropped.
pub struct Sentinel {
    /// Its port.
    pub port: u16,
    server: Server,
    _dir: TempDir,
}

impl Sentinel {
    /// Three sentinels that watch `primary` under the name `main`, and know each other.
    pub fn three(primary: &Redis) -> Vec<Self> {
        let sentinels: Vec<Self> = (0..3).map(|_| Self::start(primary.port, 2)).collect();
        for sentinel in &sentinels {
            sentinel.wait_until("sentinel master main", |text| {
                let value = |key: &str| {
                    let mut lines = text.lines().skip_while(|line| *line != key);
                    lines.nth(1).unwrap_or_default().to_owned()
                };
                value("num-other-sentinels") == "2" && !value("runid").is_empty()
            });
            sentinel.wait_until("sentinel ckquorum main", |text| text.starts_with("OK 3"));
        }
        sentinels
    }

    /// A sentinel that watches `primary` under the name `main` and has so many votes for enough.
    pub fn alone(primary: &Redis, quorum: u32) -> Self {
        Self::start(primary.port, quorum)
    }

    fn start(primary: u16, quorum: u32) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let port = free_port();
        let conf = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {primary} {quorum}\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("sentinel.conf"), conf).expect("write sentinel.conf");
        let args = ["sentinel.conf", "--sentinel"];
        let mut server = Server::start(dir.path(), "sentinel", "redis-server", &args);
        server.wait_for(port);
        Self {
            port,
            server,
            _dir: dir,
        }
    }

    /// `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Waits until what a command prints is as wanted; panics after 20 s.
    pub fn wait_until(&self, command: &str, wanted: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        loop {
            let output = Command::new(require("redis-cli"))
                .args(["-p", &self.port.to_string()])
                .args(command.split_ascii_whitespace())
                .output()
                .expect("run redis-cli");
            let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
            if wanted(&text) {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{command}: {text}\n{}",
                self.server.log()
            );
            sleep(Duration::from_millis(20));
        }
    }
}

/// A cluster: the first half of its nodes are primaries, each with one replica.
pub struct RedisCluster {
    /// Primaries, then their replicas in the same order.
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Six nodes that cover all slots.
    pub fn start() -> Self {
        let buses: Vec<u16> = (0..6).map(|_| free_port()).collect();
        let nodes: Vec<Redis> = buses
            .iter()
            .map(|bus| {
                Redis::start(&format!(
                    "--cluster-enabled yes --cluster-port {bus} --cluster-node-timeout 2000 --cluster-require-full-coverage no"
                ))
            })
            .collect();
        for (index, range) in ["0 5460", "5461 10922", "10923 16383"].iter().enumerate() {
            nodes[index].cli(&format!("cluster addslotsrange {range}"));
        }
        for (index, node) in nodes.iter().enumerate() {
            node.cli(&format!("cluster set-config-epoch {}", index + 1));
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            nodes[0].cli(&format!("cluster meet 127.0.0.1 {} {bus}", node.port));
        }
        for node in &nodes {
            node.wait_for("cluster info", "cluster_known_nodes:6");
            node.wait_for("cluster info", "cluster_slots_ok:16384");
        }
        for index in 0..3 {
            let id = nodes[index].cli("cluster myid");
            let replica = &nodes[index + 3];
            replica.wait_for(&format!("cluster replicate {id}"), "OK");
            replica.wait_for("info replication", "master_link_status:up");
        }
        let cluster = Self { nodes };
        for node in &cluster.nodes {
            node.wait_for("cluster info", "cluster_state:ok");
            for replica in &cluster.nodes[3..] {
                // Each node has heard of each replica's new part.
                let begun = Instant::now();
                let line = || {
                    let nodes = node.cli("cluster nodes");
                    let place = format!(":{}@", replica.port);
                    nodes
                        .lines()
                        .any(|line| line.contains(&place) && line.contains("slave"))
                };
                while !line() {
                    assert!(begun.elapsed() < Duration::from_secs(20), "no replica");
                    sleep(Duration::from_millis(20));
                }
            }
        }
        for primary in &cluster.nodes[..3] {
            primary.wait_for("info replication", "state=online");
        }
        cluster
    }
}
