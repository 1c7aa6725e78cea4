//! How long a large cluster takes, and what is left behind.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::lab::{Kafka, attempt};

#[test]
fn a_hundred_topics_and_fifty_groups_are_seen_within_two_seconds() {
    const TOPICS: usize = 100;
    const GROUPS: usize = 50;
    let kafka = Kafka::exclusive();
    let names: Vec<String> = (0..TOPICS).map(|at| format!("scale-{at}")).collect();
    let new: Vec<&str> = names.iter().map(String::as_str).collect();
    kafka.create_topics(&new, 6, 3);
    for name in &names[..GROUPS] {
        kafka.commit(name, name, &[(0, 0)]);
    }
    let mut params = format!(
        "brokers = {}\nexpect_brokers = 3\ntopics = [",
        kafka.plaintext()
    );
    for name in &names {
        params += &format!("{{ name = \"{name}\", partitions = 6, replication_factor = 3 }}, ");
    }
    params += "]\ngroups = [";
    for at in 0..GROUPS {
        params += &format!(
            "{{ name = \"scale-{at}\", topics = [\"scale-{at}\", \"scale-{}\"], max_lag = 5 }}, ",
            at + GROUPS
        );
    }
    params += "]\n";
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let seen = runtime.block_on(attempt("kafka", &params, Duration::from_secs(10)));
    assert!(seen.took < Duration::from_secs(2), "{:?}", seen.took);
    assert_eq!(seen.fact("topics").as_array().map(Vec::len), Some(TOPICS));
    for group in seen.fact("groups").as_array().expect("groups") {
        assert_eq!(group["state"], "empty", "{group}");
        assert_eq!(group["topics"][0]["lag_records"], 0, "{group}");
    }
    // Nobody else in this process talks to the cluster now, and this client's threads have ended.
    assert_eq!(client_threads(), [""; 0]);
    let peak = peak_kib(&params);
    assert!(peak < 60 * 1024, "{peak} KiB");
    println!("{:?}, {peak} KiB", seen.took);
    kafka.delete_topics(&new);
}

/// Threads of this process that belong to the Kafka client, or to the probe's pool for it.
fn client_threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("list the threads");
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
        .filter(|name| name.starts_with("rdk:") || name.starts_with("kafka-probe"))
        .collect()
}

/// The most memory that a run of the binary with these parameters has resident.
fn peak_kib(params: &str) -> usize {
    let dir = tempfile::TempDir::new().expect("a directory");
    let config =
        format!("[[probe]]\nid = \"stream\"\nkind = \"kafka\"\ntimeout = \"10s\"\n{params}");
    std::fs::write(dir.path().join("probes.toml"), config).expect("write the configuration");
    let mut child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .arg("--once")
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("run probe");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("wait for probe").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        peak = number
            .and_then(|number| number.parse().ok())
            .unwrap_or(peak);
        sleep(Duration::from_millis(2));
    }
    assert!(peak > 0, "nothing was measured");
    peak
}
