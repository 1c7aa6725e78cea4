//! Apache Kafka: one controller and three brokers, started once and shared by the tests of a run.

mod acl;
mod client;
mod node;
mod reassign;
mod share;

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::{Metadata, MetadataBroker, MetadataTopic};
use rustix::process::{Pid, Signal, kill_process};

use super::certs::{Authority, Leaf};
use super::process::{Server, free_port};

pub use acl::{Operation, Resource};
use node::Ports;
pub use node::{fetched, java};

/// How many brokers there are; their ids are 1 to this.
pub const BROKERS: usize = 3;
/// The user who may do everything; SCRAM and PLAIN.
pub const ADMIN: &str = "admin";
/// A user who may do what [`Kafka::allow`] has granted; SCRAM and PLAIN.
pub const PROBE: &str = "probe";
/// The same, for tests that need a user whom no other test grants anything.
pub const NARROW: &str = "narrow";
/// A user with a login and no grant at all; SCRAM and PLAIN.
pub const NOBODY: &str = "nobody";

/// The password of a user.
pub fn password(user: &str) -> String {
    format!("{user}-secret-{user}")
}

static CLUSTER: LazyLock<RwLock<Kafka>> = LazyLock::new(|| RwLock::new(Kafka::start()));

/// The running cluster, shared with other tests: nobody stops a broker meanwhile.
pub struct Shared(RwLockReadGuard<'static, Kafka>);

/// The running cluster for one test alone, which may stop brokers. All of them run again, and all
/// replicas are in sync, before the next test gets it.
pub struct Exclusive(RwLockWriteGuard<'static, Kafka>);

impl Deref for Shared {
    type Target = Kafka;

    fn deref(&self) -> &Kafka {
        &self.0
    }
}

impl Deref for Exclusive {
    type Target = Kafka;

    fn deref(&self) -> &Kafka {
        &self.0
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        let restored = catch_unwind(AssertUnwindSafe(|| {
            self.resume_controller();
            for id in 1..=BROKERS {
                self.resume_broker(id);
            }
            self.restore();
        }));
        match restored {
            Err(cause) if !std::thread::panicking() => resume_unwind(cause),
            _ => {}
        }
    }
}

impl Exclusive {
    /// Stops a broker in good order and waits until the others have taken note.
    pub fn stop_broker(&mut self, id: usize) {
        if let Some(server) = self.0.brokers[id - 1].take() {
            server.interrupt();
        }
        self.0.wait_until_seen();
    }

    /// Kills a broker and waits until the others have taken note.
    pub fn kill_broker(&mut self, id: usize) {
        drop(self.0.brokers[id - 1].take());
        self.0.wait_until_seen();
    }

    /// Kills a broker, and waits for nothing.
    pub fn crash_broker(&mut self, id: usize) {
        drop(self.0.brokers[id - 1].take());
    }

    /// Starts the brokers that do not run, and waits until all replicas are in sync.
    pub fn restore(&mut self) {
        for id in 1..=BROKERS {
            self.launch_broker(id);
        }
        self.0.wait_until_in_sync();
    }

    /// Freezes a broker: its ports accept, and nothing answers.
    pub fn pause_broker(&self, id: usize) {
        self.signal(id, Signal::STOP);
    }

    /// Thaws a frozen broker.
    pub fn resume_broker(&self, id: usize) {
        self.signal(id, Signal::CONT);
    }

    /// Freezes the controller: brokers go on with what they know.
    pub fn pause_controller(&self) {
        send_signal(&self.0.controller, Signal::STOP);
    }

    /// Thaws the controller.
    pub fn resume_controller(&self) {
        send_signal(&self.0.controller, Signal::CONT);
    }

    fn signal(&self, id: usize, signal: Signal) {
        if let Some(server) = &self.0.brokers[id - 1] {
            send_signal(server, signal);
        }
    }

    fn launch_broker(&mut self, id: usize) {
        if self.0.brokers[id - 1].is_none() {
            let mut server = node::launch(&self.0.dir, id);
            node::wait_started(&mut server);
            self.0.brokers[id - 1] = Some(server);
        }
    }
}

/// The cluster. Every broker listens four times: `PLAINTEXT` and `SSL`, where everybody is served
/// without credentials, and `SASL_PLAINTEXT` and `SASL_SSL`, where ACLs bite.
pub struct Kafka {
    dir: PathBuf,
    ports: Vec<Ports>,
    brokers: Vec<Option<Server>>,
    controller: Server,
}

impl Kafka {
    /// The cluster, shared.
    pub fn shared() -> Shared {
        Shared(CLUSTER.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The cluster, alone.
    pub fn exclusive() -> Exclusive {
        Exclusive(CLUSTER.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The `PLAINTEXT` addresses, separated by commas.
    pub fn bootstrap(&self) -> String {
        self.addresses(|ports| ports.plaintext).join(",")
    }

    /// The `PLAINTEXT` addresses as a TOML array.
    pub fn plaintext(&self) -> String {
        format!("{:?}", self.addresses(|ports| ports.plaintext))
    }

    /// The `SSL` addresses as a TOML array.
    pub fn ssl(&self) -> String {
        format!("{:?}", self.addresses(|ports| ports.ssl))
    }

    /// The `SASL_PLAINTEXT` addresses as a TOML array.
    pub fn sasl_plaintext(&self) -> String {
        format!("{:?}", self.addresses(|ports| ports.sasl_plaintext))
    }

    /// The `SASL_SSL` addresses as a TOML array.
    pub fn sasl_ssl(&self) -> String {
        format!("{:?}", self.addresses(|ports| ports.sasl_ssl))
    }

    /// The addresses of a listener of which the last broker advertises a port where nobody listens.
    pub fn astray(&self) -> String {
        format!("{:?}", self.addresses(|ports| ports.astray))
    }

    /// The CA of the brokers' certificates, PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// `security = { … }` for `SASL_SSL` with this mechanism and user.
    pub fn security(&self, mechanism: &str, user: &str) -> String {
        format!(
            "security = {{ protocol = \"SASL_SSL\", mechanism = \"{mechanism}\", username = \"{user}\", \
             password = \"{}\", ca_file = \"{}\" }}",
            password(user),
            self.ca_file().display()
        )
    }

    /// Metadata as any live broker tells it.
    pub fn metadata(&self) -> Metadata {
        let client: BaseConsumer = self.client(&[]).create().expect("a client");
        let begun = Instant::now();
        loop {
            match client.fetch_metadata(None, Duration::from_secs(5)) {
                Ok(metadata) => return metadata,
                Err(error) => assert!(
                    begun.elapsed() < PATIENCE,
                    "no broker tells metadata: {error}"
                ),
            }
        }
    }

    /// The configuration of a client without credentials that never creates a topic.
    fn client(&self, more: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.bootstrap())
            .set("allow.auto.create.topics", "false");
        for (key, value) in more {
            config.set(*key, *value);
        }
        config
    }

    fn addresses(&self, port: impl Fn(&Ports) -> u16) -> Vec<String> {
        let address = |ports| format!("127.0.0.1:{}", port(ports));
        self.ports.iter().map(address).collect()
    }

    fn start() -> Self {
        let dir = fresh_directory("kafka");
        let leaf = Authority::root("kafka");
        let identity = leaf.issue(&Leaf::sound());
        std::fs::write(dir.join("ca.pem"), leaf.pem()).expect("write the CA");
        std::fs::write(
            dir.join("broker.pem"),
            format!("{}{}", identity.key, identity.chain),
        )
        .expect("write the brokers' identity");
        let ports: Vec<Ports> = (0..BROKERS).map(|_| Ports::free()).collect();
        let controller_port = free_port();
        node::configure(&dir, &ports, controller_port);
        // The brokers wait for the controller; that it is formatted meanwhile saves their time.
        let mut brokers: Vec<Server> = (1..=BROKERS).map(|id| node::launch(&dir, id)).collect();
        node::format_controller(&dir);
        let mut controller = node::launch(&dir, node::CONTROLLER);
        node::wait_started(&mut controller);
        brokers.iter_mut().for_each(node::wait_started);
        let kafka = Self {
            dir,
            ports,
            brokers: brokers.into_iter().map(Some).collect(),
            controller,
        };
        kafka.wait_until_seen();
        kafka
    }

    /// The ids of the brokers that run.
    fn live(&self) -> Vec<i32> {
        (1..)
            .zip(&self.brokers)
            .filter_map(|(id, server)| server.as_ref().map(|_| id))
            .collect()
    }

    /// Waits until metadata lists the live brokers and no other.
    fn wait_until_seen(&self) {
        let live = self.live();
        if live.is_empty() {
            return;
        }
        self.wait("list exactly the live brokers", |metadata| {
            let mut seen: Vec<i32> = metadata.brokers().iter().map(MetadataBroker::id).collect();
            seen.sort_unstable();
            seen == live
        });
    }

    /// Waits until every replica on a live broker is in sync.
    fn wait_until_in_sync(&self) {
        self.wait_until_seen();
        let live = self.live();
        self.wait("have their replicas in sync", |metadata| {
            let mut partitions = (metadata.topics().iter()).flat_map(MetadataTopic::partitions);
            partitions.all(|one| {
                let mut due = (one.replicas().iter()).filter(|id| live.contains(id));
                due.all(|id| one.isr().contains(id))
            })
        });
    }

    fn wait(&self, what: &str, done: impl Fn(&Metadata) -> bool) {
        let begun = Instant::now();
        while !done(&self.metadata()) {
            assert!(begun.elapsed() < PATIENCE, "the brokers do not {what}");
            sleep(Duration::from_millis(50));
        }
    }
}

fn send_signal(server: &Server, signal: Signal) {
    let pid = Pid::from_raw(server.pid().cast_signed()).expect("a process id");
    kill_process(pid, signal).expect("signal a node");
}

/// How long the cluster may take for what a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of this process below the build's own; a static is never dropped, so what ended
/// processes have left is removed here.
pub fn fresh_directory(product: &str) -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join(product);
    std::fs::create_dir_all(&parent).expect("create a directory");
    for entry in std::fs::read_dir(&parent).expect("list").flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
    let dir = parent.join(std::process::id().to_string());
    std::fs::create_dir_all(&dir).expect("create a directory");
    dir
}
