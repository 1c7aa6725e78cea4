//! How long a large cluster takes, and what is left behind.

use std::time::{Duration, Instant};

use crate::lab::{Kafka, attempt};

#[test]
fn a_hundred_topics_and_fifty_groups_are_seen_within_two_seconds() {
    const TOPICS: usize = 100;
    const GROUPS: usize = 50;
    let kafka = Kafka::exclusive();
    let names: Vec<String> = (0..TOPICS).map(|at| format!("scale-{at}")).collect();
    let new: Vec<&str> = names.iter().map(String::as_str).collect();
    kafka.create_topics(&new, 6, 3);
    for at in 0..GROUPS {
        kafka.commit(&format!("scale-{at}"), &names[at], &[(0, 0)]);
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
    let threads = count("/proc/self/task");
    let before = resident_kib();
    let seen = runtime.block_on(attempt("kafka", &params, Duration::from_secs(10)));
    let grown = resident_kib().saturating_sub(before);
    assert!(seen.took < Duration::from_secs(2), "{:?}", seen.took);
    assert_eq!(seen.fact("topics").as_array().map(Vec::len), Some(TOPICS));
    for group in seen.fact("groups").as_array().expect("groups") {
        assert_eq!(group["state"], "empty", "{group}");
        assert_eq!(group["topics"][0]["lag_records"], 0, "{group}");
    }
    assert!(grown < 60 * 1024, "{grown} KiB");
    println!("{:?}, {grown} KiB", seen.took);
    // Its threads end with it; those of other tests may come and go.
    let begun = Instant::now();
    while count("/proc/self/task") > threads + 4 {
        assert!(begun.elapsed() < Duration::from_secs(2), "threads are left");
        std::thread::sleep(Duration::from_millis(20));
    }
    kafka.delete_topics(&new);
}

fn count(directory: &str) -> usize {
    std::fs::read_dir(directory).expect("list").count()
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("read");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line
        .and_then(|line| line.split_whitespace().nth(1))
        .expect("a number");
    number.parse().expect("a number")
}
