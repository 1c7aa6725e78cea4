//! One node: where its jars are, how it is configured, formatted and started.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::process::{Server, free_port, require};
use super::{ADMIN, NARROW, NOBODY, PROBE, password};

/// The id of the controller.
pub const CONTROLLER: usize = 100;

/// Any id will do: 16 bytes in base64url.
const CLUSTER_ID: &str = "bGFiLWthZmthLWNsdXN0ZQ";

/// Small and quick to start.
const JVM: [&str; 5] = [
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
];

/// The ports of a broker.
#[derive(Clone, Copy)]
pub struct Ports {
    /// No TLS, no credentials.
    pub plaintext: u16,
    /// TLS, no credentials.
    pub ssl: u16,
    /// No TLS, credentials.
    pub sasl_plaintext: u16,
    /// TLS and credentials.
    pub sasl_ssl: u16,
    /// No TLS, no credentials; the last broker advertises another port than this.
    pub astray: u16,
}

impl Ports {
    /// Five free ones.
    pub fn free() -> Self {
        Self {
            plaintext: free_port(),
            ssl: free_port(),
            sasl_plaintext: free_port(),
            sasl_ssl: free_port(),
            astray: free_port(),
        }
    }
}

/// Where `scripts/kafka-lab` has put a product. A missing one is an error, never a skip.
pub fn fetched(product: &str) -> PathBuf {
    const SCRIPT: &str = include_str!("../../../scripts/kafka-lab");
    let prefix = format!("{product}_version=");
    let version = SCRIPT
        .lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .expect("scripts/kafka-lab names the version");
    let cache = std::env::var_os("PROBE_LAB_CACHE").map_or_else(
        || {
            let home = std::env::var_os("HOME").expect("HOME or PROBE_LAB_CACHE is set");
            Path::new(&home).join(".cache/probe-lab")
        },
        PathBuf::from,
    );
    let dir = cache.join(format!("{product}-{version}"));
    assert!(
        dir.join("complete").exists(),
        "{product} {version} is not in {}: run scripts/kafka-lab, which fetches it",
        cache.display()
    );
    dir
}

/// Starts a Java program that outlives the test which happens to need it first.
pub fn java(dir: &Path, name: &str, args: &[&str]) -> Server {
    Server::start_lasting(dir, name, "java", &[&JVM[..], args].concat())
}

/// Starts a configured node.
pub fn launch(dir: &Path, id: usize) -> Server {
    let args = [
        "-cp",
        &jars(),
        &log_option(dir),
        "kafka.Kafka",
        &file_name(id),
    ];
    java(dir, &format!("node-{id}"), &args)
}

/// Waits until a node serves.
pub fn wait_started(server: &mut Server) {
    server.wait_for_log_within("Kafka Server started", super::PATIENCE);
}

/// Gives the controller its metadata log, with the users in it.
pub fn format_controller(dir: &Path) {
    let mut format = Command::new(require("java"));
    format
        .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", &jars()])
        .args([&log_option(dir), "kafka.tools.StorageTool", "format"])
        .args(["-t", CLUSTER_ID, "-c", &file_name(CONTROLLER)])
        .current_dir(dir);
    for user in [ADMIN, PROBE, NARROW, NOBODY] {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let password = password(user);
            format.args([
                "--add-scram",
                &format!("{mechanism}=[name={user},password={password}]"),
            ]);
        }
    }
    let output = format.output().expect("run java");
    assert!(
        output.status.success(),
        "the controller cannot be formatted: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Writes the files of all nodes. A broker needs no more than its identity to be formatted.
pub fn configure(dir: &Path, brokers: &[Ports], controller_port: u16) {
    std::fs::write(dir.join("log4j2.properties"), LOG).expect("write the log's configuration");
    let controller =
        format!("process.roles=controller\nlisteners=CONTROLLER://127.0.0.1:{controller_port}\n");
    write_properties(dir, CONTROLLER, controller_port, &controller);
    for (id, ports) in (1..).zip(brokers) {
        let listeners = format!(
            "PLAINTEXT://127.0.0.1:{},SSL://127.0.0.1:{},SASL_PLAINTEXT://127.0.0.1:{},SASL_SSL://127.0.0.1:{},ASTRAY://127.0.0.1:",
            ports.plaintext, ports.ssl, ports.sasl_plaintext, ports.sasl_ssl
        );
        // Nobody listens on the first port of this host.
        let advertised = if id == brokers.len() { 1 } else { ports.astray };
        let broker = format!(
            "process.roles=broker\nbroker.rack=rack-{id}\nlisteners={listeners}{}\n\
             advertised.listeners={listeners}{advertised}\n\
             inter.broker.listener.name=PLAINTEXT\n{}",
            ports.astray,
            credentials()
        );
        write_properties(dir, id, controller_port, &broker);
        let data = dir.join(format!("data-{id}"));
        std::fs::create_dir(&data).expect("create a data directory");
        let identity = format!("version=1\ncluster.id={CLUSTER_ID}\nnode.id={id}\n");
        std::fs::write(data.join("meta.properties"), identity).expect("write an identity");
    }
}

fn write_properties(dir: &Path, id: usize, controller_port: u16, own: &str) {
    let root = dir.display();
    let text = format!(
        "node.id={id}\nlog.dirs={root}/data-{id}\n\
         controller.quorum.voters={CONTROLLER}@127.0.0.1:{controller_port}\n{own}{COMMON}\
         ssl.keystore.location={root}/broker.pem\nssl.truststore.location={root}/ca.pem\n"
    );
    std::fs::write(dir.join(file_name(id)), text).expect("write a node's configuration");
}

/// Who may log in where. SCRAM users are in the metadata log, the others here.
fn credentials() -> String {
    let mut users = String::new();
    for user in [ADMIN, PROBE, NARROW, NOBODY] {
        write!(users, " user_{user}=\"{}\"", password(user)).expect("text");
    }
    let modules = [
        (
            "scram-sha-256",
            "scram.ScramLoginModule required".to_owned(),
        ),
        (
            "scram-sha-512",
            "scram.ScramLoginModule required".to_owned(),
        ),
        ("plain", format!("plain.PlainLoginModule required{users}")),
        (
            "oauthbearer",
            "oauthbearer.OAuthBearerLoginModule required".to_owned(),
        ),
    ];
    let mut text = String::new();
    for listener in ["sasl_plaintext", "sasl_ssl"] {
        for (mechanism, module) in &modules {
            writeln!(
                text,
                "listener.name.{listener}.{mechanism}.sasl.jaas.config=org.apache.kafka.common.security.{module};"
            )
            .expect("text");
        }
    }
    text
}

fn jars() -> String {
    format!("{}/*", fetched("kafka").join("libs").display())
}

fn log_option(dir: &Path) -> String {
    format!(
        "-Dlog4j2.configurationFile={}/log4j2.properties",
        dir.display()
    )
}

fn file_name(id: usize) -> String {
    format!("node-{id}.properties")
}

/// Without credentials a client is `User:ANONYMOUS`, and so are the nodes to one another.
const COMMON: &str = "\
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,ASTRAY:PLAINTEXT,CONTROLLER:PLAINTEXT
ssl.keystore.type=PEM
ssl.truststore.type=PEM
ssl.client.auth=none
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
allow.everyone.if.no.acl.found=false
auto.create.topics.enable=true
num.partitions=3
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
share.coordinator.state.topic.num.partitions=3
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=2
background.threads=2
log.index.size.max.bytes=65536
log.cleaner.dedupe.buffer.size=4194304
";

const LOG: &str = "\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
";
