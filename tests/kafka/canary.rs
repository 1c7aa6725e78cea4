//! The canary: what is stored by all in-sync replicas and read again.

use std::time::Duration;

use crate::lab::kafka::{Exclusive, Operation, PROBE, Resource};
use crate::lab::{Kafka, Run, Verdict, attempt};

const TOPIC: &str = "probe-canary";

fn run(kafka: &Kafka, params: &str) -> Verdict {
    let config = format!(
        "[[probe]]\nid = \"stream\"\nkind = \"kafka\"\ntimeout = \"12s\"\nbrokers = {}\nallow_writes = true\n{params}\n",
        kafka.plaintext()
    );
    Run::with_config(&config).once()
}

/// The cluster without a topic of the canary.
fn fresh() -> Exclusive {
    let kafka = Kafka::exclusive();
    if kafka.has_topic(TOPIC) {
        kafka.delete_topic(TOPIC);
    }
    kafka
}

#[test]
fn it_makes_its_topic_once_and_comes_back_from_every_partition() {
    let kafka = fresh();
    let (before, groups) = (kafka.topics(), kafka.groups());
    for _ in 0..2 {
        let verdict = run(&kafka, "");
        for rule in ["canary", "canary-produce-time", "canary-round-trip-time"] {
            let rule = verdict.rule(&format!("stream/{rule}"));
            assert_eq!(rule["result"], "pass", "{rule}");
        }
        let canary = &verdict.facts("stream")["canary"];
        assert_eq!(canary["topic"], TOPIC);
        let partitions = canary["partitions"].as_array().expect("partitions");
        assert_eq!(partitions.len(), 3, "one for each broker");
        for partition in partitions {
            assert!(partition["produce_ms"].as_f64().expect("a time") > 0.0);
            assert!(partition["fetch_ms"].as_f64().expect("a time") > 0.0);
        }
    }
    let new: Vec<String> = kafka
        .topics()
        .into_iter()
        .filter(|topic| !before.contains(topic))
        .collect();
    assert_eq!(new, [TOPIC], "nothing else is made");
    let metadata = kafka.metadata();
    let topic = metadata.topics().iter().find(|topic| topic.name() == TOPIC);
    for partition in topic.expect("the canary's topic").partitions() {
        assert_eq!(partition.replicas().len(), 3, "the cluster's replication");
    }
    let records: i64 = (0..3)
        .map(|partition| kafka.end_offset(TOPIC, partition))
        .sum();
    assert_eq!(records, 6, "a record for each partition and run");
    assert_eq!(kafka.groups(), groups, "no group is joined or made");
}

#[test]
fn without_allow_writes_nothing_is_written_and_the_rules_are_not_enabled() {
    let kafka = fresh();
    kafka.create_topic("canary-not-allowed", 1, 3, &[]);
    let config = format!(
        "[[probe]]\nid = \"stream\"\nkind = \"kafka\"\nbrokers = {}\n",
        kafka.plaintext()
    );
    let verdict = Run::with_config(&config).once();
    assert!(!kafka.has_topic(TOPIC));
    assert_eq!(
        verdict.facts("stream")["canary"]["unknown"],
        "not_applicable"
    );
    assert_eq!(verdict.code, 0, "{:#}", verdict.json);
}

#[test]
fn under_min_isr_it_fails_and_says_why_though_brokers_answer() {
    let mut kafka = fresh();
    assert_eq!(run(&kafka, "").result("stream/canary"), "pass");
    kafka.stop_broker(2);
    kafka.kill_broker(3);
    let verdict = run(&kafka, "");
    let rule = verdict.rule("stream/canary");
    assert_eq!(rule["result"], "fail", "{rule}");
    let reason = rule["reason"].as_str().expect("a reason").to_lowercase();
    assert!(
        reason.contains("replica") && reason.contains("partition"),
        "{reason}"
    );
    kafka.restore();
    assert_eq!(run(&kafka, "").result("stream/canary"), "pass");
}

#[test]
fn a_frozen_leader_fails_it_within_the_timeout_and_the_other_partitions_are_seen() {
    let kafka = fresh();
    assert_eq!(run(&kafka, "").result("stream/canary"), "pass");
    kafka.pause_broker(3);
    let begun = std::time::Instant::now();
    let verdict = run(&kafka, "");
    assert!(
        begun.elapsed() < Duration::from_secs(14),
        "{:?}",
        begun.elapsed()
    );
    kafka.resume_broker(3);
    assert_ne!(verdict.result("stream/canary"), "pass");
}

#[tokio::test]
async fn a_missing_grant_is_unknown_and_named() {
    let kafka = fresh();
    let params = |user: &str| {
        format!(
            "brokers = {}\nallow_writes = true\n{}",
            kafka.sasl_ssl(),
            kafka.security("SCRAM-SHA-512", user)
        )
    };
    let timeout = Duration::from_secs(10);
    // It cannot see the topic that is not there, nor make it.
    let denied = attempt("kafka", &params(PROBE), timeout).await;
    let problem = &denied.fact("canary")["problem"];
    assert_eq!(problem["unknown"], "denied", "{problem}");
    assert!(!kafka.has_topic(TOPIC));
    let topic = Resource::Topic(TOPIC);
    kafka.allow(PROBE, topic, Operation::Describe);
    let denied = attempt("kafka", &params(PROBE), timeout).await;
    let problem = &denied.fact("canary")["problem"];
    assert_eq!(problem["unknown"], "denied", "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("Create"),
        "{problem}"
    );
    assert!(!kafka.has_topic(TOPIC));
    kafka.allow(PROBE, topic, Operation::Create);
    let denied = attempt("kafka", &params(PROBE), timeout).await;
    let problem = &denied.fact("canary")["problem"];
    assert_eq!(problem["unknown"], "denied", "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("Write"),
        "{problem}"
    );
    kafka.allow(PROBE, topic, Operation::Write);
    let denied = attempt("kafka", &params(PROBE), timeout).await;
    let problem = &denied.fact("canary")["problem"];
    assert!(
        problem["detail"].as_str().unwrap().contains("Read"),
        "{problem}"
    );
    kafka.allow(PROBE, topic, Operation::Read);
    let served = attempt("kafka", &params(PROBE), timeout).await;
    assert_eq!(
        served.fact("canary")["problem"],
        "",
        "{:#}",
        served.fact("canary")
    );
}
