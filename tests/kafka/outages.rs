//! Brokers that are stopped, frozen or gone.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::{run, run_within};
use crate::lab::{Kafka, Run};

#[test]
fn with_one_broker_stopped_partitions_are_under_replicated_and_with_two_under_min_isr() {
    let mut kafka = Kafka::exclusive();
    kafka.create_topic("outage", 3, 3, &[("min.insync.replicas", "2")]);
    let undeclared = format!("brokers = {}", kafka.plaintext());
    let declared = format!(
        "{undeclared}\nexpect_brokers = 3\ntopics = [{{ name = \"outage\", partitions = 3, replication_factor = 3 }}]"
    );
    kafka.stop_broker(3);
    let verdict = run(&undeclared);
    assert_eq!(verdict.result("stream/under-replicated"), "warn");
    let found = verdict.facts("stream")["under_replicated_partitions"].to_string();
    assert!(found.contains("outage-0"), "{found}");
    let verdict = run(&declared);
    assert_eq!(verdict.result("stream/brokers"), "fail");
    let rule = verdict.rule("stream/declared-topics-in-sync");
    assert_eq!(rule["result"], "fail", "{rule}");
    assert_eq!(verdict.result("stream/replication-factor"), "pass");
    let at_min = &verdict.facts("stream")["at_min_isr_partitions"];
    assert!(at_min.to_string().contains("outage-0"), "{at_min}");
    kafka.kill_broker(2);
    let verdict = run(&undeclared);
    let rule = verdict.rule("stream/under-min-isr");
    assert_eq!(rule["result"], "fail", "{rule}");
    let found = verdict.facts("stream")["under_min_isr_partitions"].to_string();
    assert!(found.contains("outage-0"), "{found}");
    kafka.restore();
    let verdict = run(&declared);
    for rule in [
        "brokers",
        "under-min-isr",
        "under-replicated",
        "declared-topics-in-sync",
    ] {
        assert_eq!(verdict.result(&format!("stream/{rule}")), "pass", "{rule}");
    }
}

#[test]
fn a_broker_that_dies_while_groups_are_asked_for_takes_nobody_with_it() {
    const GROUPS: usize = 12;
    let mut kafka = Kafka::exclusive();
    kafka.create_topic("crash", 6, 3, &[]);
    kafka.produce("crash", 0, &[Some(b"record")]);
    let mut groups = String::new();
    for at in 0..GROUPS {
        let name = format!("crash-{at}");
        kafka.commit(&name, "crash", &[(0, 1)]);
        groups += &format!("{{ name = \"{name}\", topics = [\"crash\"], max_lag = 5 }}, ");
    }
    let params = format!(
        "brokers = {}\nexpect_brokers = 3\ngroups = [{groups}]",
        kafka.plaintext()
    );
    for round in 0..6 {
        let id = round % 3 + 1;
        kafka.crash_broker(id);
        // It dies before, and then while others still take it for the one that keeps groups.
        for _ in 0..3 {
            let verdict = run_within("3s", &params);
            let rule = verdict.rule("stream/brokers-reachable");
            assert_eq!(verdict.probe("stream")["outcome"], "observed", "{rule}");
            assert_ne!(verdict.result("stream/brokers"), "pass", "round {round}");
            for group in verdict.facts("stream")["groups"].as_array().unwrap() {
                assert_ne!(group["exists"], false, "{group}");
            }
        }
        kafka.restore();
        let verdict = run(&params);
        for rule in ["brokers", "brokers-reachable", "groups-exist", "within-log"] {
            let rule = verdict.rule(&format!("stream/{rule}"));
            assert_eq!(rule["result"], "pass", "round {round}: {rule}");
        }
    }
}

#[test]
fn a_broker_that_advertises_where_nobody_listens_is_out_of_reach() {
    let kafka = Kafka::shared();
    let params = |brokers: String| format!("brokers = {brokers}\nexpect_brokers = 3");
    // Brokers name any of them as the one to ask for the cluster: where it is the one out of reach, the others'
    // word is not confirmed, and nothing of it passes.
    let mut verdict = run(&params(kafka.astray()));
    for _ in 0..20 {
        if verdict.result("stream/brokers-reachable") != "unknown" {
            break;
        }
        assert_ne!(verdict.result("stream/brokers"), "pass");
        verdict = run(&params(kafka.astray()));
    }
    let rule = verdict.rule("stream/brokers-reachable");
    assert_eq!(rule["result"], "fail", "{rule}");
    assert_eq!(verdict.result("stream/brokers"), "fail");
    let brokers = &verdict.facts("stream")["brokers"];
    assert_eq!(brokers[2]["reachable"], false, "{brokers}");
    assert_eq!(brokers[0]["reachable"], true, "{brokers}");
    let verdict = run(&params(kafka.plaintext()));
    assert_eq!(verdict.result("stream/brokers-reachable"), "pass");
    assert_eq!(verdict.result("stream/brokers"), "pass");
}

#[test]
fn a_partition_whose_only_replica_is_gone_is_offline() {
    let mut kafka = Kafka::exclusive();
    kafka.create_topic("lonely", 3, 1, &[("min.insync.replicas", "1")]);
    kafka.produce("lonely", 0, &[Some(b"record")]);
    for partition in 0..3 {
        kafka.produce("lonely", partition, &[Some(b"record")]);
    }
    kafka.commit("lonely", "lonely", &[(0, 1), (1, 1), (2, 1)]);
    kafka.kill_broker(1);
    let verdict = run(&format!(
        "brokers = {}\ngroups = [{{ name = \"lonely\", topics = [\"lonely\"], max_lag = 5 }}]",
        kafka.plaintext()
    ));
    let rule = verdict.rule("stream/offline-partitions");
    assert_eq!(rule["result"], "fail", "{rule}");
    assert!(
        rule["reason"].as_str().unwrap().contains("lonely-"),
        "{rule}"
    );
    // Where its log ends nobody can tell.
    assert_eq!(verdict.result("stream/lag"), "unknown");
}

#[test]
fn a_frozen_broker_takes_nothing_from_what_the_others_tell() {
    let kafka = Kafka::exclusive();
    kafka.create_topic("frozen", 3, 3, &[]);
    kafka.pause_broker(2);
    let begun = Instant::now();
    let verdict = run_within(
        "6s",
        &format!(
            "brokers = {}\ntopics = [{{ name = \"frozen\", partitions = 3 }}]",
            kafka.plaintext()
        ),
    );
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(verdict.probe("stream")["outcome"], "observed");
    assert_eq!(verdict.result("stream/partitions"), "pass");
}

#[test]
fn with_all_brokers_dead_the_deadline_is_kept_and_other_probes_run() {
    let mut kafka = Kafka::exclusive();
    let healthy = kafka.plaintext();
    for id in 1..=3 {
        kafka.kill_broker(id);
    }
    let begun = Instant::now();
    let verdict = run_within("5s", &format!("brokers = {healthy}"));
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(verdict.probe("stream")["outcome"], "target_error");
    let rule = verdict.rule("stream/offline-partitions");
    assert_eq!(rule["result"], "fail");
    assert!(
        rule["reason"].as_str().unwrap().contains("refused"),
        "{rule}"
    );
}

#[test]
fn eight_hung_clusters_end_within_one_timeout_side_by_side() {
    // The kernel accepts, and nobody ever reads.
    let servers: Vec<TcpListener> = (0..8)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("listen"))
        .collect();
    let mut config = String::new();
    for (at, server) in servers.iter().enumerate() {
        config += &format!(
            "[[probe]]\nid = \"hung-{at}\"\nkind = \"kafka\"\ntimeout = \"3s\"\nbrokers = [\"{}\"]\n\
             anonymous = \"refused\"\n",
            server.local_addr().expect("an address")
        );
    }
    let begun = Instant::now();
    let verdict = Run::with_config(&config).once();
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    for at in 0..8 {
        let probe = verdict.probe(&format!("hung-{at}"));
        assert_eq!(probe["outcome"], "target_error", "{probe}");
    }
}

#[test]
fn without_a_controller_nothing_that_looks_sound_passes() {
    let kafka = Kafka::exclusive();
    kafka.create_topic("old", 1, 3, &[]);
    let params = format!(
        "brokers = {}\nexpect_brokers = 3\ntopics = [{{ name = \"old\", partitions = 1, \
         replication_factor = 3, min_insync_replicas = 1 }}]",
        kafka.plaintext()
    );
    assert_eq!(run(&params).result("stream/controller"), "pass");
    kafka.pause_controller();
    let begun = Instant::now();
    let verdict = run_within("4s", &params);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    for rule in [
        "brokers",
        "brokers-reachable",
        "controller",
        "offline-partitions",
        "under-min-isr",
        "under-replicated",
        "topics-exist",
        "partitions",
        "replication-factor",
        "min-insync-replicas",
        "declared-topics-in-sync",
        "unclean-leader-election",
    ] {
        let rule = verdict.rule(&format!("stream/{rule}"));
        assert_eq!(rule["result"], "unknown", "{rule}");
        assert!(
            rule["reason"].as_str().unwrap().contains("controller"),
            "{rule}"
        );
    }
}
